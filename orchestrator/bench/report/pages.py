"""Figures as Markdown, as plain data, and as one HTML page that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from typing import Any

from orchestrator.bench.report.figures import Figure

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
img { width: 100%; height: auto; background: white; border-radius: 6px; }
table { border-collapse: collapse; margin: 1rem 0 3rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .9rem .2rem 0; text-align: left; border-bottom: 1px solid #8884; }
td.number, th.number { text-align: right; }
tr.ours { font-weight: 600; }
.note { color: #888; }
"""


def as_markdown(figures: Sequence[Figure]) -> str:
    """A table for each figure."""
    parts = []
    for figure in figures:
        lines = [f"## {figure.title}", "", figure.note, ""]
        lines += [f"| | {figure.across} | {figure.up} |", "|---|---:|---:|"]
        for line in figure.lines:
            name = line.name.replace("|", "\\|")
            shown = f"**{name}**" if line.ours else name
            lines += [f"| {shown} | {_number(x)} | {_number(y)} |" for x, y in line.points]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def as_plain(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [asdict(figure) for figure in figures]


def as_html(figures: Sequence[Figure], images: Sequence[bytes]) -> str:
    """One page with the pictures inside: no scripts, nothing is loaded from anywhere."""
    parts = []
    for figure, image in zip(figures, images, strict=True):
        source = f"data:image/png;base64,{b64encode(image).decode()}"
        rows = "\n".join(
            f'<tr class="{"ours" if line.ours else "beside"}"><td>{escape(line.name)}</td>'
            f'<td class="number">{_number(x)}</td><td class="number">{_number(y)}</td></tr>'
            for line in figure.lines
            for x, y in line.points
        )
        parts.append(
            f"<h2>{escape(figure.title)}</h2>\n"
            f'<p class="note">{escape(figure.note)}</p>\n'
            f'<img src="{source}" alt="{escape(figure.up)} over {escape(figure.across)}">\n'
            f'<table><tr><th></th><th class="number">{escape(figure.across)}</th>'
            f'<th class="number">{escape(figure.up)}</th></tr>\n{rows}\n</table>'
        )
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>What policies cost and buy</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>What policies cost and buy</h1>\n{body}\n</body></html>\n"
    )


def _number(value: float) -> str:
    return f"{value:.4g}"
