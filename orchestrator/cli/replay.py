"""``orchestrator replay``: serve recorded answers as if they were a provider's."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import PriceOption, prices
from orchestrator.cli.output import print_line

if TYPE_CHECKING:
    from orchestrator.testing.upstream.recorder import Recorder
    from orchestrator.testing.upstream.server import Upstream
    from orchestrator.testing.upstream.serving import Serving


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
    record: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Pass requests on to this provider, which costs money, and add its answers to the"
            " recording. Secrets in them are masked, headers are not written.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one object per line.")
    ] = False,
) -> None:
    """Serve recorded answers like a provider.

    The address is OpenAI-compatible. Ctrl-C ends it with the bill.
    """
    if record is not None:
        if price or fault or latency_scale:
            message = "--price, --fault and --latency-scale are for replaying; leave them out"
            raise typer.BadParameter(message, param_hint="--record")
        _record(recording, record, port=port, as_json=as_json)
        return
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
    _run(
        upstream,
        port,
        opening=lambda: print_line(_opening(upstream), _opening_text(upstream), as_json=as_json),
        closing=lambda: print_line(_bill(upstream), _bill_text(upstream), as_json=as_json),
    )


def _record(recording: str, provider: str, *, port: int, as_json: bool) -> None:
    from orchestrator.testing.upstream.recorder import Recorder

    try:
        recorder = Recorder(recording, provider, port=port)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    _run(
        recorder,
        port,
        opening=lambda: print_line(
            {"url": recorder.url, "provider": provider},
            f"Recording {provider} at {recorder.url} into {recording}\n"
            f"Point a policy at it with `api_base: {recorder.url}`, and name the provider's key:"
            " `api_key_env: OPENAI_API_KEY`\nCtrl-C ends it.",
            as_json=as_json,
        ),
        closing=lambda: print_line(_recorded(recorder), _recorded_text(recorder), as_json=as_json),
    )


def _recorded(recorder: Recorder) -> dict[str, Any]:
    return {"requests": recorder.passed, "recorded": recorder.recorded}


def _recorded_text(recorder: Recorder) -> str:
    return (
        f"{recorder.passed} requests passed on, {recorder.recorded} answers recorded. Read them"
        " before you commit them: only what looks like a secret is masked."
    )


def _run(
    serving: Serving, port: int, *, opening: Callable[[], None], closing: Callable[[], None]
) -> None:
    try:
        asyncio.run(_serve(serving, opening, closing))
    except OSError as error:
        message = f"cannot listen on port {port}: {error.strerror}; choose another with --port"
        raise typer.BadParameter(message) from error


async def _serve(
    serving: Serving, opening: Callable[[], None], closing: Callable[[], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving:
        opening()
        await stop.wait()
    closing()


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
