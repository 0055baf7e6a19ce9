"""The YAML of a team, checked and merged into one Policy whose every value knows its source."""
