"""YAML text as a tree in which every value is text and knows its line.

Built from the parser's events, not from a composed document: nothing is expanded, resolved or
constructed on the way, so an alias bomb has nothing to grow in, ``0.1`` stays the text ``0.1``
and ``off`` means the same in YAML 1.1 and 1.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from orchestrator.core.errors import PolicyProblem

MAX_BYTES = 64 * 1024
LONGEST_SHOWN = 60
MAX_DEPTH = 16  # twice what the deepest key of a policy needs

Path = tuple[str | int, ...]
NULLS = frozenset({"", "~", "null", "Null", "NULL"})
HINTS = MappingProxyType(
    {
        "mapping values are not allowed": "put a value that contains `: ` in quotes",
        "cannot start any token": "indent with spaces, and quote a value that begins with a sign",
        "could not find expected ':'": "write `key: value`",
        "expected ',' or ']'": "close the list with `]`",
        "expected ',' or '}'": "close the mapping with `}`",
        "expected <block end>": "give keys of one level the same indentation",
        "found unexpected end of stream": "close the quotes",
        "special characters are not allowed": "remove the control character",
    }
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was written; line 0 and file ``default`` if nobody wrote it."""

    file: str
    line: int

    def __str__(self) -> str:
        """``file:line``."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Node:
    """A value of a policy and where it was written.

    Attributes:
        value: Text as it was written, ``None`` (no value), a list or a mapping of nodes.
        source: The line of its key, or of the item in a list.
    """

    value: str | list[Node] | dict[str, Node] | None
    source: Source

    @property
    def entries(self) -> dict[str, Node]:
        """The mapping's entries; none if it is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    def data(self) -> object:
        """The value without its sources: text, ``None``, lists and dicts."""
        if isinstance(self.value, dict):
            return {key: node.data() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.data() for node in self.value]
        return self.value

    def nearest(self, path: Path) -> Node:
        """The node at ``path``, or the last one that exists on the way there."""
        node = self
        for part in path:
            below: Node | None = None
            if isinstance(node.value, dict):
                below = node.value.get(str(part))
            elif isinstance(node.value, list) and isinstance(part, int):
                below = node.value[part] if part < len(node.value) else None
            if below is None:
                break
            node = below
        return node

    def without(self, paths: set[Path]) -> Node:
        """A copy that lacks the nodes at ``paths``; a list that would lose an item goes whole."""
        if not isinstance(self.value, dict):
            return self
        below: dict[str | int, set[Path]] = {}
        for path in paths:
            if path:
                below.setdefault(path[0], set()).add(path[1:])
        kept: dict[str, Node] = {}
        for key, node in self.value.items():
            lost = below.get(key, set())
            is_short_list = isinstance(node.value, list) and bool(lost)
            if () not in lost and not is_short_list:
                kept[key] = node.without(lost) if lost else node
        return Node(kept, self.source)


@dataclass(slots=True)
class Reading:
    """What one file's text came to.

    Attributes:
        root: The tree; ``None`` if the text cannot be read as one.
        problems: Mistakes that no tree can show (aliases, duplicate keys, syntax).
        damaged: Paths whose value is missing from the tree for one of ``problems``.
    """

    root: Node | None = None
    problems: list[PolicyProblem] = field(default_factory=list)
    damaged: set[Path] = field(default_factory=set)


def dotted(path: Path) -> str:
    """``steps.plan.models`` for people."""
    return ".".join(one_line(str(part)) for part in path)


def is_under(path: Path, damaged: set[Path]) -> bool:
    """Whether ``path`` or something above it is damaged."""
    return any(path[:length] in damaged for length in range(len(path) + 1))


def one_line(text: str) -> str:
    """``text`` for a message: printable, and short enough to be read."""
    line = text if text.isprintable() else ascii(text)[1:-1]
    return line if len(line) <= LONGEST_SHOWN else line[:LONGEST_SHOWN] + "..."


def read_tree(content: bytes, file: str) -> Reading:
    """Read the bytes of one policy file.

    Args:
        content: What the file holds.
        file: How messages name it.
    """
    return _Builder(file).read(content)


class _Builder:
    """Turns events into nodes and gathers mistakes on the way."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._reading = Reading()
        self._anchors: set[str] = set()

    def read(self, content: bytes) -> Reading:
        if len(content) > MAX_BYTES:
            self._problem(0, (), f"is over {MAX_BYTES // 1024} KiB; split it with `extends:`")
            return self._reading
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            self._problem(line, (), "is not UTF-8; save the file as UTF-8")
            return self._reading
        try:
            # The parser's generator is untyped for its yields; every item is an Event.
            self._document(cast("Iterator[Event]", YAML(typ="safe", pure=True).parse(text)))
        except _Unreadable:
            self._reading.root = None
        except YAMLError as error:
            self._syntax(error, text)
        except (ValueError, OverflowError) as error:
            # The scanner lets these through for an escape that is no character ("\UFFFFFFFF").
            self._reading.root = None
            self._problem(0, (), f"is no YAML: {error}; check the `\\` escapes in double quotes")
        return self._reading

    def _document(self, events: Iterator[Event]) -> None:
        for event in events:
            if isinstance(event, DocumentStartEvent):
                if self._reading.root is not None:
                    message = "starts a second document; a policy is one document, remove `---`"
                    self._problem(_line(event), (), message)
                    return
                # The whole has no line: what is missing in it is missing everywhere.
                self._reading.root = self._node(next(events), events, (), 0)
        root = self._reading.root
        if root is None or root.value is None:
            self._problem(0, (), "is empty; a policy needs at least `models:`")
            raise _Unreadable
        if not isinstance(root.value, dict):
            self._problem(root.source.line, (), "is no mapping; write `key: value` lines")
            raise _Unreadable

    def _node(self, event: Event, events: Iterator[Event], path: Path, line: int) -> Node:
        source = Source(self._file, line)
        self._refuse_marks(event, path)
        if isinstance(event, MappingStartEvent):
            self._check_depth(event, path)
            return Node(self._mapping(events, path), source)
        if isinstance(event, SequenceStartEvent):
            self._check_depth(event, path)
            items: list[Node] = []
            while not isinstance(item := next(events), CollectionEndEvent):
                items.append(self._node(item, events, (*path, len(items)), _line(item)))
            return Node(items, source)
        if isinstance(event, ScalarEvent):
            text = str(event.value)
            if any("\ud800" <= character <= "\udfff" for character in text):
                self._problem(
                    _line(event), path, "holds an escape for half a character; write the character"
                )
                self._reading.damaged.add(path)
                return Node(None, source)
            return Node(None if event.style is None and text in NULLS else text, source)
        return Node(None, source)  # an alias, which is refused above

    def _mapping(self, events: Iterator[Event], path: Path) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(events), CollectionEndEvent):
            line = _line(event)
            key = self._node(event, events, (*path, "?"), line).value
            below = (*path, key if isinstance(key, str) else "?")
            value = self._node(next(events), events, below, line)
            if not isinstance(key, str):
                self._problem(line, path, "holds a key that is no plain text; write `key: value`")
            elif key in entries:
                first = entries[key].source.line
                message = f"is already set in line {first}; keep one of the two"
                self._problem(line, below, message)
            elif key == "<<":
                message = "merge keys are not read; write the keys out, or use `extends:`"
                self._problem(line, below, message)
                self._reading.damaged.add(below)
            else:
                entries[key] = value
        return entries

    def _refuse_marks(self, event: Event, path: Path) -> None:
        if not isinstance(event, NodeEvent):
            return
        if isinstance(event, AliasEvent):
            self._reading.damaged.add(path)
            if event.anchor not in self._anchors and path[-1:] != ("<<",):
                message = (
                    f"aliases are not read; write the value in place of `*{one_line(event.anchor)}`"
                )
                self._problem(_line(event), path, message)
        elif event.anchor is not None:
            # One mistake, however often the anchor is used.
            self._anchors.add(event.anchor)
            message = (
                f"anchors are not read; remove `&{one_line(event.anchor)}` and write values out"
            )
            self._problem(_line(event), path, message)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._problem(
                _line(event), path, f"tags are not read; remove `{one_line(_short(tag))}`"
            )

    def _check_depth(self, event: Event, path: Path) -> None:
        if len(path) >= MAX_DEPTH:
            message = f"is nested deeper than {MAX_DEPTH} levels; no key of a policy needs that"
            self._problem(_line(event), path[:4], message)
            raise _Unreadable

    def _syntax(self, error: YAMLError, text: str) -> None:
        self._reading.root = None
        line, problem = 0, str(error)
        if isinstance(error, MarkedYAMLError):
            line, problem = _marked(error)
        elif isinstance(error, ReaderError):
            line = text[: error.position].count("\n") + 1
            problem = str(error.reason)
        problem = " ".join(problem.split())
        hint = next((hint for words, hint in HINTS.items() if words in problem), "")
        self._problem(line, (), f"is no YAML: {problem}" + (f"; {hint}" if hint else ""))

    def _problem(self, line: int, path: Path, message: str) -> None:
        self._reading.problems.append(PolicyProblem(self._file, line, dotted(path), message))


class _Unreadable(Exception):  # noqa: N818 - ends the reading of one file, never leaves this module
    """The rest of the file cannot be told apart; its problem is already noted."""


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _marked(error: MarkedYAMLError) -> tuple[int, str]:
    """The line to look at, and what is wrong there."""
    problem = str(error.problem or error.context)
    begin, here = error.context_mark, error.problem_mark
    if here is None or (begin is not None and "end of stream" in problem):
        # What was never closed is found at the end of the file, and mended where it begins.
        return (begin.line + 1 if begin is not None else 0), problem
    if begin is not None and begin.line != here.line:
        problem += f", in what begins in line {begin.line + 1}"
    return here.line + 1, problem


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix("tag:yaml.org,2002:") if tag.startswith("tag:") else tag
