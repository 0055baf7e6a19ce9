"""Agents on LangGraph: context, call, run, halt, resume."""
