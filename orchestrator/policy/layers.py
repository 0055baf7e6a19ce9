"""The files of a policy: the chain of ``extends:``, and how one layer lies on another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from orchestrator.core.errors import PolicyProblem
from orchestrator.policy.documents.base import Document
from orchestrator.policy.keys import keys_of
from orchestrator.policy.shape import check_shape
from orchestrator.policy.tree import MAX_BYTES, Node, Path, Reading, Source, read_tree

MAX_LAYERS = 8


@dataclass(slots=True)
class Layers:
    """The files of a policy, and every mistake a single file can show.

    Attributes:
        roots: The trees, the outermost (``org``) first, without what is mistaken in them.
        problems: The mistakes, file by file, the one that was asked for first.
        damaged: Paths about which something was said; what is missing there is no second mistake.
        complete: Whether all files could be read; if not, the whole cannot be judged.
    """

    roots: list[Node] = field(default_factory=list)
    problems: list[PolicyProblem] = field(default_factory=list)
    damaged: set[Path] = field(default_factory=set)
    complete: bool = True

    def add(self, reading: Reading) -> Node | None:
        """Take in one file; returns its tree, unless it cannot be read."""
        self.problems += reading.problems
        if reading.root is None:
            self.complete = False
            return None
        problems, damaged = check_shape(reading.root, reading.damaged)
        self.problems += problems
        self.damaged |= damaged
        if ("extends",) in damaged:
            self.complete = False
        root = reading.root.without(damaged)
        self.roots.insert(0, root)
        return root


def read_layers(file: str) -> Layers:
    """Read ``file`` and what it extends."""
    layers = Layers()
    asked_by: Source | None = None
    seen: set[str] = set()
    while True:
        content = _content(file, asked_by, layers)
        if content is None:
            return layers
        seen.add(os.path.realpath(file))
        root = layers.add(read_tree(content, file))
        extends = root.entries.get("extends") if root is not None else None
        if extends is None:
            return layers
        asked_by = extends.source
        # Lexically tidied for messages only where that cannot change which file is meant.
        file = _tidy(os.path.join(os.path.dirname(file), str(extends.value)))  # noqa: PTH118, PTH120 - pathlib drops a leading "./"
        problem = None
        if os.path.realpath(file) in seen:
            problem = f"extends `{file}`, which leads back here; remove one `extends:`"
        elif len(seen) == MAX_LAYERS:
            problem = f"is layer {MAX_LAYERS}, and no more are read; merge some of the files"
        if problem is not None:
            layers.problems.append(PolicyProblem(asked_by.file, asked_by.line, "extends", problem))
            layers.complete = False
            return layers


def merge(upper: Node, lower: Node) -> Node:
    """Lay ``lower`` on ``upper``: mappings key by key, everything else replaced."""
    if not isinstance(upper.value, dict) or not isinstance(lower.value, dict):
        return lower
    entries = dict(upper.value)
    for name, node in lower.value.items():
        entries[name] = merge(entries[name], node) if name in entries else node
    return Node(entries, lower.source)


def inherit_steps(root: Node) -> Node:
    """Give each named step the keys of ``"*"`` that it does not set itself."""
    steps = root.entries.get("steps")
    if steps is None or "*" not in steps.entries:
        return root
    every = steps.entries["*"]
    filled = {name: merge(every, step) for name, step in steps.entries.items()}
    return Node({**root.entries, "steps": Node(filled, steps.source)}, root.source)


def written_values(root: Node, path: Path = ()) -> Iterator[tuple[Path, str, Source]]:
    """Every value of a tree: its path, its text and its source."""
    for name, node in root.entries.items():
        below = (*path, name)
        if node.entries and name != "at":
            yield from written_values(node, below)
        else:
            yield below, _text(node), node.source


def default_values(document: Document, path: Path = ()) -> Iterator[tuple[Path, str, Source]]:
    """Every value that no layer gives and that is not simply absent."""
    for key in keys_of(type(document)):
        below = (*path, key.name)
        value = getattr(document, key.name)
        if isinstance(value, Document):
            yield from default_values(value, below)
        elif key.many == "named":
            for name, entry in value.items():
                if isinstance(entry, Document):
                    yield from default_values(entry, (*below, name))
        elif key.default is not None and key.name not in document.model_fields_set:
            yield below, key.default, Source("default", 0)


def _text(node: Node) -> str:
    match node.value:
        case dict():
            pairs = (f"{name}: {_text(entry)}" for name, entry in node.value.items())
            return "{" + ", ".join(pairs) + "}"
        case list():
            return "[" + ", ".join(_text(item) for item in node.value) + "]"
        case _:
            return str(node.value)


def _content(file: str, asked_by: Source | None, layers: Layers) -> bytes | None:
    try:
        with FilePath(file).open("rb") as stream:
            # One byte more than allowed is enough to know; the rest is never read.
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
    if asked_by is None:
        problem = PolicyProblem(file, 0, "", f"cannot be read ({reason}); check the path")
    else:
        message = f"`{file}` cannot be read ({reason}); the path is relative to this file"
        problem = PolicyProblem(asked_by.file, asked_by.line, "extends", message)
    layers.problems.append(problem)
    layers.complete = False
    return None


def _tidy(file: str) -> str:
    tidy = os.path.normpath(file)
    return tidy if os.path.realpath(tidy) == os.path.realpath(file) else file
