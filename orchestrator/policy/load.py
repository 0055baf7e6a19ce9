"""YAML files to one checked :class:`~orchestrator.policy.records.Policy`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime

from orchestrator.core.errors import PolicyError, PolicyProblem
from orchestrator.policy.crosschecks import CrossChecks, QuoteFunction
from orchestrator.policy.currencies import rates_of
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.keys import keys_of
from orchestrator.policy.layers import (
    Layers,
    default_values,
    inherit_steps,
    merge,
    read_layers,
    written_values,
)
from orchestrator.policy.records import Policy, Value
from orchestrator.policy.resolve import resolve
from orchestrator.policy.tree import Node, dotted
from orchestrator.pricing.book import PriceBook


def load_policy(
    path: str | os.PathLike[str], *, quote: QuoteFunction | None = None, at: datetime | None = None
) -> Policy:
    """Read a policy, what it extends and its agents, and check the whole.

    Args:
        path: The policy's file.
        quote: Where prices come from; the price lists that come with the package unless given.
        at: The moment prices must hold (aware); now unless given.

    Raises:
        PolicyError: If anything is wrong, with every mistake.
    """
    file = os.fspath(path)
    layers = read_layers(file)
    if not layers.complete:
        raise PolicyError(layers.problems)
    judged = _Judged(layers, quote or PriceBook().quote, at or datetime.now(UTC))
    problems = list(dict.fromkeys([*layers.problems, *judged.problems]))
    if problems:
        raise PolicyError(_in_order(problems))
    return Policy(
        path=file,
        everyone=resolve(judged.documents[None], judged.roots[None]),
        agents={
            name: resolve(document, judged.roots[name])
            for name, document in judged.documents.items()
            if name is not None
        },
        rates=rates_of(judged.documents[None]),
        values={name: _values(root, judged.documents[name]) for name, root in judged.roots.items()},
    )


class _Judged:
    """The merged tree and document of every agent (``None``: of all), with their mistakes."""

    def __init__(self, layers: Layers, quote: QuoteFunction, at: datetime) -> None:
        self.problems: list[PolicyProblem] = []
        self.roots: dict[str | None, Node] = {}
        self.documents: dict[str | None, PolicyDocument] = {}
        # What is said about an agent's override is said about what it overrides, too.
        of_agents = {path[2:] for path in layers.damaged if path[:1] == ("agents",) and path[2:]}
        damaged = layers.damaged | of_agents
        merged = layers.roots[0]
        for lower in layers.roots[1:]:
            upper, merged = merged, merge(merged, lower)
            checks = CrossChecks(merged, _read(merged), damaged)
            checks.against(upper, _read(upper))
            self.problems += checks.problems
        agents = merged.entries.get("agents")
        own = {k: node for k, node in merged.entries.items() if k not in {"agents", "extends"}}
        everyone = Node(own, merged.source)
        for name, node in [(None, None), *(agents.entries.items() if agents else ())]:
            root = everyone if node is None else merge(everyone, node)
            checks = CrossChecks(root, _read(root), damaged)
            if node is not None:
                checks.own = (("agents", str(name)), node)
                checks.against(everyone, _read(everyone))
            checks.whole(quote, at)
            self.problems += checks.problems
            # Only now: what a step inherits would be judged once for every step.
            self.roots[name] = inherit_steps(root)
            self.documents[name] = _read(self.roots[name])


def _read(root: Node) -> PolicyDocument:
    # Cannot fail: each file has passed, mistakes are cut out, and merging keeps every shape.
    return PolicyDocument.model_validate(root.data())


def _in_order(problems: Iterable[PolicyProblem]) -> list[PolicyProblem]:
    """By file, in the order files were first spoken of, then by line."""
    files: dict[str, int] = {}
    for problem in problems:
        files.setdefault(problem.file, len(files))
    return sorted(problems, key=lambda problem: (files[problem.file], problem.line))


def _values(root: Node, document: PolicyDocument) -> tuple[Value, ...]:
    """Every value with its source, grouped in the order in which the reference names the keys."""
    fields = [key.name for key in keys_of(PolicyDocument)]
    found = [*written_values(root), *default_values(document)]
    names: dict[tuple[str | int, ...], int] = {}
    for path, _, _ in found:
        names.setdefault(path[:2], len(names))
    found.sort(key=lambda value: (fields.index(str(value[0][0])), names[value[0][:2]]))
    return tuple(Value(dotted(path), text, source) for path, text, source in found)
