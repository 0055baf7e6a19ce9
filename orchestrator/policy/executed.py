"""The files of tests that a policy's ``tests`` checks name."""

from __future__ import annotations

import ast
from pathlib import Path

from orchestrator.policy.tree import Node

MAX_BYTES = 64 * 1024


def read_tests(root: Node, step: str, index: int, file: str) -> str:
    """The code of the tests that item ``index`` of a step's ``checks:`` names.

    Args:
        root: The merged tree, which knows in which policy file the name stands: it is relative to
            that one.
        step: The step.
        index: The place in its list.
        file: The name.

    Raises:
        ValueError: If there is no such file, or it is no Python code; it says what to change.
    """
    policy = root.nearest(("steps", step, "checks", index)).source.file
    try:
        with (Path(policy).parent / file).open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"`{file}` cannot be read ({reason}); the path is relative to this file"
        raise ValueError(message) from error
    if len(content) > MAX_BYTES:
        message = f"`{file}` has more than {MAX_BYTES // 1024} KiB; import what is long in it"
        raise ValueError(message)
    try:
        code = content.decode()
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"`{file}` is no Python code ({error}); correct it"
        raise ValueError(message) from error
    return code
