"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_STORE = "sqlite:///.orchestrator/ledger.db"

PolicyOption = Annotated[
    str,
    typer.Option(
        "--policy", envvar="ORCHESTRATOR_POLICY", metavar="PATH", help="The team's policy file."
    ),
]
StoreOption = Annotated[
    str,
    typer.Option(
        envvar="ORCHESTRATOR_STORE",
        metavar="URL",
        help="The ledger: sqlite:///relative/ledger.db, sqlite:////absolute/ledger.db or"
        " postgresql://user@host/database?schema=name.",
    ),
]
PriceOption = Annotated[
    list[str] | None,
    typer.Option(metavar="MODEL=IN,OUT", help="USD per million tokens; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LogOption = Annotated[
    bool, typer.Option("--log", help="Write every event as a JSON line to standard error.")
]


def prices(texts: list[str] | None) -> dict[str, dict[str, str]]:
    """Read ``--price`` options: USD per million input and output tokens by model.

    Raises:
        ValueError: If one has another form.
    """
    return dict(map(_price, texts or ()))


def pairs(option: str, form: str, texts: list[str] | None) -> dict[str, str]:
    """Read a repeatable option of the form ``KEY=VALUE``.

    Raises:
        BadParameter: If one has no ``=``; all such are named.
    """
    wrong = [text for text in texts or () if "=" not in text]
    if wrong:
        message = f"write {form}, not {', '.join(map(repr, wrong))}"
        raise typer.BadParameter(message, param_hint=option)
    return dict(text.split("=", 1) for text in texts or ())


def _price(text: str) -> tuple[str, dict[str, str]]:
    model, _, rates = text.rpartition("=")
    rate_in, comma, rate_out = rates.partition(",")
    if not (model and comma) or "," in rate_out:
        message = f"--price {text!r}: write MODEL=IN,OUT, for example gpt-5-nano=0.05,0.40"
        raise ValueError(message)
    return model, {"input": rate_in.strip(), "output": rate_out.strip()}
