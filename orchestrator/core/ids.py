"""Identifiers of tasks and attempts."""

from __future__ import annotations

import hashlib
import os
import random
import re
import time

# Asking the system for randomness gives up the interpreter's lock, and with a busy thread beside it
# takes milliseconds to get it back. So the system is asked once in a process, and in each of its
# forks. Not the numbers of the module itself: who seeds those would let two processes agree on ids.
_RANDOM = random.Random()  # noqa: S311 - ids are to be unique, they keep no secret
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_RANDOM.seed)

TASK_ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def new_task_id() -> str:
    """A fresh task id; ids sort by the time they were made."""
    return f"task-{_sortable()}"


def new_attempt_id() -> str:
    """A fresh attempt id; ids sort by the time they were made."""
    return f"att-{_sortable()}"


def child_task_id(parent_task_id: str, key: str) -> str:
    """The id of a task that runs inside another, the same each time that place is reached again."""
    digest = hashlib.sha256(f"{parent_task_id}\x00{key}".encode()).hexdigest()
    return f"task-child-{digest[:32]}"


def _sortable() -> str:
    return f"{time.time_ns() // 1_000_000:012x}{_RANDOM.getrandbits(64):016x}"
