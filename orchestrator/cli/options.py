"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

PolicyOption = Annotated[
    str,
    typer.Option("--policy", envvar="ORCHESTRATOR_POLICY", help="The team's policy file."),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        envvar="ORCHESTRATOR_STORE",
        help="The ledger's URL; sqlite:///.orchestrator/ledger.db unless given.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LogOption = Annotated[
    bool, typer.Option("--log", help="Write every event as a JSON line to standard error.")
]

DEFAULT_STORE = "sqlite:///.orchestrator/ledger.db"
