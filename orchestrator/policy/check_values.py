"""Reading the checks of a step: a name, or a mapping of one name to its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from orchestrator.policy.amounts import read_usd
from orchestrator.policy.values import (
    choices,
    one_of,
    read_count,
    read_duration,
    read_name,
    read_pattern,
    read_probability,
    read_text,
    suggestion,
)
from orchestrator.routing.settings import (
    AgreementCheck,
    Check,
    ExecutionCheck,
    FormCheck,
    JudgeCheck,
    LogprobsCheck,
)


class Setting(NamedTuple):
    """One key of a check: the field it fills, how it is read, and how an editor sees it."""

    field: str
    read: Callable[[str], object]
    schema: Mapping[str, Any] = MappingProxyType({"type": "string"})


@dataclass(frozen=True, slots=True)
class CheckForm:
    """How a check is written.

    Attributes:
        record: What it becomes; ``None``: it takes no settings and stays its name.
        example: How it can be written, for messages.
        settings: Its keys.
        required: Those that must be there.
        main: The key that is meant where text stands in place of the keys.
    """

    record: Callable[..., Check] | None = None
    example: str = ""
    settings: Mapping[str, Setting] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    main: str | None = None


_NUMBER = MappingProxyType({"type": "number", "minimum": 0, "maximum": 1})
_COUNT = MappingProxyType({"type": ["integer", "string"]})

CHECKS: Mapping[str, CheckForm] = MappingProxyType(
    {
        "schema": CheckForm(),
        "form": CheckForm(
            FormCheck,
            "form: '^ANSWER: '",
            {"pattern": Setting("pattern", read_pattern)},
            required=("pattern",),
            main="pattern",
        ),
        "arithmetic": CheckForm(),
        "tools": CheckForm(),
        "tests": CheckForm(
            ExecutionCheck,
            "tests: checks/solve.py",
            {
                "file": Setting("file", read_text),
                "timeout": Setting("timeout_s", read_duration),
                "memory": Setting("memory_bytes", read_count, _COUNT),
            },
            required=("file",),
            main="file",
        ),
        "logprobs": CheckForm(
            LogprobsCheck,
            "logprobs: {at_least: 0.3}",
            {
                "at_least": Setting("at_least", read_probability, _NUMBER),
                "quantile": Setting("quantile", read_probability, _NUMBER),
            },
            required=("at_least",),
        ),
        "agreement": CheckForm(
            AgreementCheck,
            "agreement",
            {"model": Setting("model", read_name)},
            main="model",
        ),
        "judge": CheckForm(
            JudgeCheck,
            "judge: {model: large, budget: 0.02 USD}",
            {
                "model": Setting("model", read_name),
                "budget": Setting("budget", read_usd),
                "criteria": Setting("criteria", read_text),
            },
            required=("model", "budget"),
        ),
    }
)


def read_check(value: object) -> str | Check:
    """``schema``, ``form: '^ANSWER: '`` or ``judge: {model: large, budget: 0.02 USD}``."""
    match value:
        case str():
            name, written = value, None
        case dict() if len(value) == 1:
            ((name, written),) = value.items()
        case _:
            message = "is no check; write a name such as `schema`, or `form: '^ANSWER: '`"
            raise ValueError(message)
    one_of(*CHECKS)(name)
    form = CHECKS[name]
    if form.record is None and isinstance(value, str):
        return name
    if form.record is None:
        message = f"`{name}` takes no setting; write only `{name}`"
        raise ValueError(message)
    return form.record(**_settings(name, form, {} if isinstance(value, str) else written))


def checks_schema() -> dict[str, Any]:
    """How an editor sees one item of ``checks:``."""
    bare = [name for name, form in CHECKS.items() if not form.required]
    return {"anyOf": [{"enum": bare}, *(_schema(n, f) for n, f in CHECKS.items() if f.record)]}


def _settings(name: str, form: CheckForm, written: object) -> dict[str, object]:
    if isinstance(written, str) and form.main is not None:
        written = {form.main: written}
    if not isinstance(written, dict):
        message = f"`{name}` needs its settings; write `{form.example}`"
        raise ValueError(message)  # noqa: TRY004 - pydantic asks for this one
    missing = [key for key in form.required if key not in written]
    if missing:
        message = f"`{name}` lacks {choices(missing)}; write `{form.example}`"
        raise ValueError(message)
    return dict(_setting(name, form, key, text) for key, text in written.items())


def _setting(name: str, form: CheckForm, key: str, text: object) -> tuple[str, object]:
    setting = form.settings.get(key)
    if setting is None:
        hint = suggestion(key, form.settings) or f"; known here: {choices(list(form.settings))}"
        message = f"`{name}` has no key `{key}`{hint}"
        raise ValueError(message)
    if not isinstance(text, str):
        message = f"`{key}` of `{name}` is no single value; write for example `{form.example}`"
        raise ValueError(message)  # noqa: TRY004 - pydantic asks for this one
    try:
        return setting.field, setting.read(text)
    except ValueError as error:
        message = f"`{key}` of `{name}`: {error}"
        raise ValueError(message) from error


def _schema(name: str, form: CheckForm) -> dict[str, Any]:
    keys = {
        "type": "object",
        "properties": {key: dict(one.schema) for key, one in form.settings.items()},
        "required": list(form.required),
        "additionalProperties": False,
    }
    below = keys if form.main is None else {"anyOf": [dict(form.settings[form.main].schema), keys]}
    return {
        "type": "object",
        "properties": {name: below},
        "required": [name],
        "additionalProperties": False,
    }
