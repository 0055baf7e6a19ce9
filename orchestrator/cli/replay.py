"""``orchestrator replay``: serve recorded answers as if they were a provider's."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import PriceOption, prices

if TYPE_CHECKING:
    from orchestrator.testing.upstream.server import Upstream


def replay(
    recording: Annotated[str, typer.Argument(help="A .jsonl or .csv file, perhaps with .gz.")],
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0: any free one.")] = 8765,
    price: PriceOption = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[:NAME=VALUE,...]",
            help="Misbehave, e.g. rate_limit:times=3 or cut:every=5,after=2; repeatable.",
        ),
    ] = None,
    latency_scale: Annotated[
        float, typer.Option(min=0, help="Replay recorded latency times this.")
    ] = 0.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per line.")
    ] = False,
) -> None:
    """Serve recorded answers like a provider.

    The address is OpenAI-compatible. Ctrl-C ends it with the bill.
    """
    from orchestrator.testing.upstream.faults import Fault
    from orchestrator.testing.upstream.recording import RecordingError
    from orchestrator.testing.upstream.server import Upstream

    try:
        upstream = Upstream(
            recording,
            prices=prices(price),
            faults=[Fault.parse(text) for text in fault or ()],
            latency_scale=latency_scale,
            port=port,
        )
    except (RecordingError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    try:
        asyncio.run(_serve(upstream, as_json=as_json))
    except OSError as error:
        message = f"cannot listen on port {port}: {error.strerror}; choose another with --port"
        raise typer.BadParameter(message) from error


async def _serve(upstream: Upstream, *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with upstream:
        _say(_opening(upstream), _opening_text(upstream), as_json=as_json)
        await stop.wait()
    _say(_bill(upstream), _bill_text(upstream), as_json=as_json)


def _opening(upstream: Upstream) -> dict[str, Any]:
    return {"url": upstream.url, "control": upstream.control_url, "models": list(upstream.models)}


def _opening_text(upstream: Upstream) -> str:
    return "\n".join(
        [
            f"Replaying {len(upstream.models)} models at {upstream.url}",
            "Point a policy at it:",
            "  models:",
            f"    small: {{model: openai/{upstream.models[0]}, api_base: {upstream.url}}}",
            f"Log: GET {upstream.control_url}/log   Faults: POST {upstream.control_url}/faults",
            "Ctrl-C ends it.",
        ]
    )


def _bill(upstream: Upstream) -> dict[str, Any]:
    unpriced = sum(entry.billed_nano is None for entry in upstream.log)
    return {
        "requests": len(upstream.log),
        "billed_usd": upstream.billed.to_json(),
        "unpriced_requests": unpriced,
    }


def _bill_text(upstream: Upstream) -> str:
    bill = _bill(upstream)
    text = f"{bill['requests']} requests, billed {upstream.billed}"
    unpriced = bill["unpriced_requests"]
    return f"{text}; {unpriced} of models without --price" if unpriced else text


def _say(record: dict[str, Any], text: str, *, as_json: bool) -> None:
    typer.echo(json.dumps(record) if as_json else text)
