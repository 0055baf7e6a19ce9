"""Which model answers a step: candidates, checks, and when to escalate."""
