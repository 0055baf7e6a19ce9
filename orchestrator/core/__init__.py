"""Shared words of the project: money, usage, scope, clock, identifiers, events, errors.

Standard library only, no input or output: every other package may import this one.
"""
