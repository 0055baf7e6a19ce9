"""Listeners of core.events."""
