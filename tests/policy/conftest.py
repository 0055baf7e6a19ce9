from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.core.errors import PolicyError, PolicyProblem
from orchestrator.policy.load import load_policy
from orchestrator.policy.records import Policy

SMALL = "{model: openai/foo, price: {input: 0.10, output: 0.40}}"

Write = Callable[..., Path]
Load = Callable[[str], Policy]
Mistakes = Callable[[str], list[PolicyProblem]]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of a policy and give its path."""

    def write_file(text: str | bytes, name: str = "policy.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return path

    return write_file


@pytest.fixture
def load(write: Write) -> Load:
    """Load the text of a policy."""
    return lambda text: load_policy(write(text))


@pytest.fixture
def mistakes(write: Write) -> Mistakes:
    """The mistakes in the text of a policy, of which there must be some."""

    def find(text: str) -> list[PolicyProblem]:
        with pytest.raises(PolicyError) as caught:
            load_policy(write(text))
        return list(caught.value.problems)

    return find


@pytest.fixture
def mistake(mistakes: Mistakes) -> Callable[[str], PolicyProblem]:
    """The one mistake in the text of a policy."""

    def find(text: str) -> PolicyProblem:
        (problem,) = mistakes(text)
        return problem

    return find
