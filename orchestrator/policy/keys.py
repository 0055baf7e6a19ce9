"""The keys of a document, looked at from outside: for messages, schema, reference and explain."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pydantic.fields import FieldInfo

from orchestrator.policy.documents.base import Document
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.forms import NOT_BUILT, Written
from orchestrator.policy.tree import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a policy.

    Attributes:
        name: The key.
        meaning: What it does.
        holds: How its value is written, or the document that lies below it.
        many: Whether it holds one such value, a list of them, or one under each name.
        default: How the default is written; ``None`` if there is none.
        example: A value.
    """

    name: str
    meaning: str
    holds: Written | type[Document]
    many: Literal["one", "list", "named"]
    default: str | None
    example: str

    @property
    def is_built(self) -> bool:
        """Whether it takes any value but ``off``."""
        return self.holds is not NOT_BUILT


@cache
def keys_of(document: type[Document]) -> tuple[Key, ...]:
    """The keys of ``document``, its own before inherited ones."""
    return tuple(_keys(document))


def _keys(document: type[Document]) -> Iterator[Key]:
    inherited = [base.model_fields for base in document.__bases__ if issubclass(base, Document)]
    names = sorted(document.model_fields, key=lambda name: any(name in base for base in inherited))
    for name in names:
        field = document.model_fields[name]
        many, holds = _holds(field)
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = extra.get("default")
        example = extra.get("example") or (holds.example if isinstance(holds, Written) else "")
        yield Key(
            name=name,
            meaning=field.description or "",
            holds=holds,
            many=many,
            default=None if default is None else str(default),
            example=str(example),
        )


def document_at(path: Path) -> type[Document]:
    """The document that the mapping at ``path`` of a policy file is."""
    document: type[Document] = PolicyDocument
    parts = iter(path)
    for part in parts:
        key = next(key for key in keys_of(document) if key.name == part)
        assert isinstance(key.holds, type), f"{part} holds no mapping of keys"
        document = key.holds
        if key.many == "named":
            next(parts, None)
    return document


def _holds(field: FieldInfo) -> tuple[Literal["one", "list", "named"], Written | type[Document]]:
    written = _written(field.metadata)
    if written is not None:
        return "one", written
    arguments = typing.get_args(field.annotation)
    if typing.get_origin(field.annotation) is tuple:
        item = _written(arguments[0].__metadata__)
        assert item is not None, "the items of a list say how they are written"
        return "list", item
    many: Literal["one", "named"] = "one"
    if typing.get_origin(field.annotation) is dict:
        many = "named"
        item = _written(getattr(arguments[1], "__metadata__", ()))
        if item is not None:
            return many, item
    for candidate in (field.annotation, *arguments):
        if isinstance(candidate, type) and issubclass(candidate, Document):
            return many, candidate
    message = f"{field.annotation} says neither how it is written nor what lies below"
    raise AssertionError(message)


def _written(metadata: typing.Iterable[object]) -> Written | None:
    return next((item for item in metadata if isinstance(item, Written)), None)
