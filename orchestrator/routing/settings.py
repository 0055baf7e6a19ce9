"""How one step chooses its model."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import ClassVar, Literal

from orchestrator.core.money import Money

BelowThreshold = Literal["best", "halt", "ask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FormCheck:
    """``form``: the reply must match a regular expression somewhere (``re.search``, multi-line)."""

    name: ClassVar[str] = "form"
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionCheck:
    """``tests``: the code of the reply must pass tests.

    Attributes:
        file: The tests, as the policy names them.
        timeout_s: Seconds they may take, of the clock and of a processor.
        memory_bytes: Address space they may use.
        code: The Python code of the tests; ``import reply`` in it is the reply's.
    """

    name: ClassVar[str] = "tests"
    file: str
    timeout_s: float = 10.0
    memory_bytes: int = 1_000_000_000
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogprobsCheck:
    """``logprobs``: the model must have been sure of its tokens.

    Attributes:
        at_least: The probability that the token at ``quantile`` must have had.
        quantile: Which token: 0 is the least sure one, 0.5 the median.
    """

    name: ClassVar[str] = "logprobs"
    at_least: float
    quantile: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementCheck:
    """``agreement``: a second reply must come to the same result.

    Attributes:
        model: Who is asked for it; ``None``: the same model once more.
    """

    name: ClassVar[str] = "agreement"
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeCheck:
    """``judge``: another model must call the reply acceptable.

    Attributes:
        model: Who judges.
        budget: The most that all judgements of the step may cost in one task.
        criteria: What acceptable means; ``None``: complete and correct.
    """

    name: ClassVar[str] = "judge"
    model: str
    budget: Money
    criteria: str | None = None


Check = FormCheck | ExecutionCheck | LogprobsCheck | AgreementCheck | JudgeCheck
"""A check with settings; one without is its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSettings:
    """One entry under ``steps:`` of a policy.

    Attributes:
        confidence: The threshold between 0 and 1 for a check that gives a number (``check=``);
            ``None``: one half. Whatever it is, a reply is accepted if it is complete and all its
            checks pass, and the next candidate is asked if not.
        models: Names of the candidates; empty: every model of the policy.
        checks: Names of built-in checks in the policy's order.
        form: The pattern of the ``form`` check, if it is used.
        tests: The tests of the ``tests`` check, if it is used.
        logprobs: What the ``logprobs`` check asks, if it is used.
        agreement: Whom the ``agreement`` check asks, if it is used.
        judge: Whom the ``judge`` check asks, if it is used.
        below_threshold: What happens when no candidate is accepted.
        lane: The lane its attempts go by; ``None``: none.
        timeout_s: Seconds one attempt may take; ``None``: the limits' ``attempt_timeout``.
        latency_price: What a second of waiting counts for where models are compared, USD.
    """

    confidence: float | None = None
    models: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    form: FormCheck | None = None
    tests: ExecutionCheck | None = None
    logprobs: LogprobsCheck | None = None
    agreement: AgreementCheck | None = None
    judge: JudgeCheck | None = None
    below_threshold: BelowThreshold = "best"
    lane: str | None = None
    timeout_s: float | None = None
    latency_price: Decimal = Decimal(0)


DEFAULT_STEP = StepSettings()


@dataclass(frozen=True, slots=True)
class StepTable:
    """The steps of a policy by name; ``*`` answers for a step that is not named."""

    steps: dict[str, StepSettings] = field(default_factory=dict)

    def __getitem__(self, name: str) -> StepSettings:
        """The settings of the step ``name``."""
        return self.steps.get(name) or self.steps.get("*") or DEFAULT_STEP
