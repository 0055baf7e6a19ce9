"""The tables of keys in ``docs/policy.md``: ``python -m orchestrator.policy.reference FILE``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from orchestrator.policy.documents.base import Document
from orchestrator.policy.documents.policy import AgentDocument, PolicyDocument
from orchestrator.policy.keys import Key, keys_of

BEGIN = "<!-- Written by `python -m orchestrator.policy.reference`; do not edit by hand. -->\n"
END = "<!-- End of what is written. -->\n"
HEAD = ("| key | written as | default | example | meaning |", "|---|---|---|---|---|")


def reference() -> str:
    """Every key of a policy, one table for each mapping, as Markdown."""
    return "\n".join(_tables(PolicyDocument, "")) + "\n"


def with_reference(page: str) -> str:
    """``page`` with the tables between its marks brought up to date."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{reference()}\n{END}{after}"


def _tables(document: type[Document], path: str) -> Iterator[str]:
    keys = keys_of(document)
    yield f"### {path or 'Top level'}\n"
    yield from HEAD
    for key in keys:
        if key.is_built:
            yield _row(key)
    later = [f"`{key.name}`" for key in keys if not key.is_built]
    if later:
        yield f"\nNot built yet, and refused unless `off`: {', '.join(later)}."
    yield ""
    for below in dict.fromkeys(key.holds for key in keys if isinstance(key.holds, type)):
        # An agent's keys are those of the top level again.
        if below is not AgentDocument:
            alike = [_path(path, key) for key in keys if key.holds is below]
            yield from _tables(below, ", ".join(alike))


def _path(path: str, key: Key) -> str:
    name = f"{key.name}.NAME" if key.many == "named" else key.name
    return f"`{path.strip('`')}.{name}`" if path else f"`{name}`"


def _row(key: Key) -> str:
    if isinstance(key.holds, type):
        unit = "mapping" if key.many == "one" else "mapping of names"
        unit += f" or `{key.holds.main}` alone" if key.holds.text_is_main else ""
        unit += " or `off`" if key.holds.may_be_off else ""
    else:
        unit = {
            "one": key.holds.unit,
            "list": f"list of {key.holds.unit}s",
            "named": f"mapping of names to {key.holds.unit}",
        }[key.many]
    cells = (
        f"`{key.name}`",
        unit,
        f"`{key.default}`" if key.default else "",
        f"`{key.example}`" if key.example else "",
        key.meaning,
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def main() -> None:
    """Bring the page named on the command line up to date."""
    page = Path(sys.argv[1])
    page.write_text(with_reference(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
