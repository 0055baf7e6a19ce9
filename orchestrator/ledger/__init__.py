"""Reserve, settle, release, expire, journal: the facts about money and about what was asked."""
