"""``orchestrator bench report``: figures of benchmarks as pictures, tables and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import print_json


def report(
    reports: Annotated[
        list[Path],
        typer.Argument(exists=True, dir_okay=False, help="JSON of bench route, run or plan."),
    ],
    *,
    out: Annotated[Path, typer.Option(file_okay=False, help="Where to write.")] = Path("report"),
    as_json: JsonOption = False,
) -> None:
    """Draw cost and quality: PNG, one self-contained HTML page, Markdown and JSON."""
    from orchestrator.bench.report.drawing import as_png
    from orchestrator.bench.report.figures import read_figures
    from orchestrator.bench.report.pages import as_html, as_markdown, as_plain

    figures = [figure for path in reports for figure in read_figures(path)]
    images = [as_png(figure) for figure in figures]
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for number, image in enumerate(images, start=1):
        written.append(out / f"figure-{number}.png")
        written[-1].write_bytes(image)
    texts = {"report.html": as_html(figures, images), "report.md": as_markdown(figures)}
    for name, text in texts.items():
        written.append(out / name)
        written[-1].write_text(text, encoding="utf-8")
    if as_json:
        print_json({"figures": as_plain(figures), "written": [str(path) for path in written]})
    else:
        typer.echo("\n".join(map(str, written)))
