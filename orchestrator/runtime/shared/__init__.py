"""What all tasks of one orchestrator share."""
