"""The memo: replies and tool results already paid for, with freshness and sharing rules.

Works without LangGraph, the runtime or YAML. :class:`orchestrator.memo.memo.Memo` is the way in.
"""
