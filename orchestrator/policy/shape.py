"""One file's tree against the shape of a policy file."""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.core.errors import PolicyProblem
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.keys import document_at, keys_of
from orchestrator.policy.tree import Node, Path, dotted, is_under, one_line
from orchestrator.policy.values import choices, suggestion


def check_shape(root: Node, damaged: set[Path]) -> tuple[list[PolicyProblem], set[Path]]:
    """Find every value that is not written as its key asks.

    Args:
        root: The tree of one file.
        damaged: Paths about which something was said already.

    Returns:
        The mistakes, and ``damaged`` with the paths of the new ones added.
    """
    try:
        PolicyDocument.model_validate(root.data())
    except ValidationError as error:
        details = error.errors(include_url=False)
    else:
        return [], damaged
    problems = []
    found = set(damaged)
    for detail in details:
        path = tuple(part for part in detail["loc"] if part != "[key]")
        if isinstance(root.nearest(path[:-1]).value, str):
            path = path[:-1]  # text in place of a mapping: its main key stands nowhere
        found.add(path)
        if not is_under(path, damaged):
            source = root.nearest(path).source
            message = _message(detail, path)
            problems.append(PolicyProblem(source.file, source.line, dotted(path), message))
    return problems, found


def _message(detail: ErrorDetails, path: Path) -> str:
    value = detail["input"]
    match detail["type"]:
        case "extra_forbidden":
            message = _unknown_key(path)
        case "value_error":
            message = str(detail["ctx"]["error"])
        case "model_type" | "dict_type" if value is None:
            message = "has no value; write its keys below it, or remove it"
        case "model_type" if isinstance(value, str) and (main := document_at(path).main):
            message = f"must be a mapping; write `{{{main}: {one_line(value)}}}`"
        case "model_type" | "dict_type":
            message = "must be a mapping; write its keys below it, as in `key: value`"
        case "tuple_type" if isinstance(value, str):
            message = f"must be a list; write `[{one_line(value)}]`"
        case "tuple_type":
            message = "must be a list; write `[first, second]`"
        case other:
            message = f"pydantic reports {other}, for which no message is written"
            raise AssertionError(message)
    return message


def _unknown_key(path: Path) -> str:
    document = document_at(path[:-1])
    word = str(path[-1])
    if word in document.hints:
        return document.hints[word]
    known = [key.name for key in keys_of(document) if key.is_built]
    return "unknown key" + (suggestion(word, known) or f"; known here: {choices(known)}")
