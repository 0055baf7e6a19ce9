"""How much a task matters, where there is too little for all."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Priority = Literal["low", "normal", "high"]
PRIORITIES: tuple[Priority, ...] = get_args(Priority)

TURN: Mapping[Priority, int] = MappingProxyType({"high": 0, "normal": 1, "low": 2})
"""Whose turn it is first: the lower number."""
