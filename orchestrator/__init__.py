"""A runtime for agents that spend money."""
