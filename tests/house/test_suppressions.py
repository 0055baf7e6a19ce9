"""Whoever switches a check off says why, in the same line."""

import io
import re
import tokenize
import tomllib
from pathlib import Path

import pytest

NOQA = re.compile(r"#( ruff:)? noqa: [A-Z]+\d+(, [A-Z]+\d+)* - \w")
TYPE_IGNORE = re.compile(r"# type: ignore\[[a-z-]+(, [a-z-]+)*\] +# \w")
PRAGMA = re.compile(r"#\s*(noqa|ruff\s*:|mypy\s*:|type:\s*ignore|pyright|pragma)", re.IGNORECASE)


def unexplained(source: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [
        f"{token.start[0]}: {token.string}"
        for token in tokens
        if token.type == tokenize.COMMENT
        and PRAGMA.search(token.string)
        and not NOQA.search(token.string)
        and not TYPE_IGNORE.search(token.string)
    ]


def test_every_suppression_in_the_code_has_a_reason(python_files: list[Path], root: Path):
    found = {
        str(path.relative_to(root)): comments
        for path in python_files
        if (comments := unexplained(path.read_text(encoding="utf-8")))
    }

    assert found == {}


@pytest.mark.parametrize(
    ("comment", "explained"),
    [
        ("# noqa", False),
        ("# noqa: E501", False),
        ("# noqa: E501 - a long address", True),
        ("# noqa: E501, S608 - a long address", True),
        ("# type: ignore", False),
        ("# type: ignore[arg-type]", False),
        ("# type: ignore[arg-type]  # the stub is wrong", True),
        ("# ruff: noqa", False),
        ("# ruff: noqa: RUF001 - look-alikes are what this file is about", True),
        ("# mypy: ignore-errors", False),
    ],
)
def test_what_counts_as_a_reason(comment: str, *, explained: bool):
    assert (unexplained(f"x = 1  {comment}\n") == []) is explained


def test_every_rule_that_is_off_has_a_reason(root: Path):
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    off = {rule for rules in lint["per-file-ignores"].values() for rule in rules}
    off |= set(lint["ignore"])

    assert lint["select"] == ["ALL"]
    assert [rule for rule in sorted(off) if not re.search(rf'"{rule}", +# \w', text)] == []


def test_rules_are_the_stable_ones(root: Path):
    """Preview rules change meaning between releases."""
    ruff = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]

    assert "preview" not in ruff
    assert "preview" not in ruff["lint"]
