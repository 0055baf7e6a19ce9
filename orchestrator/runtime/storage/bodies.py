"""Inputs and outputs of graphs, as bytes the ledger can keep. No pickle."""

from __future__ import annotations

from functools import cache
from typing import Any

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer


@cache
def _serializer() -> JsonPlusSerializer:
    return JsonPlusSerializer(pickle_fallback=False)


def pack(value: Any) -> tuple[str, bytes]:
    """Encode ``value`` the way LangGraph encodes its checkpoints.

    Raises:
        TypeError: If it cannot be encoded without pickle.
    """
    return _serializer().dumps_typed(value)


def unpack(body: tuple[str, bytes]) -> Any:
    """Decode what :func:`pack` wrote; tuples come back as lists."""
    return _serializer().loads_typed(body)
