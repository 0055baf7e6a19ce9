"""A figure as PNG."""

from __future__ import annotations

from io import BytesIO
from itertools import cycle

from orchestrator.bench.report.figures import Figure, ReportError, number

_OURS = ("#c2410c", "#9333ea", "#0f766e", "#be123c")
_BESIDE = ("#1d4ed8", "#64748b", "#0891b2", "#4d7c0f", "#a16207", "#7c3aed", "#334155", "#db2777")
_MARKS = "osD^vP*"
_LOG_FROM = 20.0
"""A horizontal axis on which the largest number is so many times the smallest is logarithmic."""


def as_png(figure: Figure) -> bytes:
    """Draw it, 1,600 by 1,000 points.

    Raises:
        ReportError: The extra ``report`` is not installed.
    """
    try:
        # Drawn without pyplot, which keeps every figure in a state of its own.
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure as Canvas  # noqa: PLC0415 - as above
        from matplotlib.ticker import (  # noqa: PLC0415 - as above
            FuncFormatter,
            LogLocator,
            NullFormatter,
        )
    except ModuleNotFoundError as error:
        message = f"{error.name} is missing: pip install 'cost-aware-orchestrator[report]'"
        raise ReportError(message) from error
    canvas = Canvas(figsize=(10, 6.25), dpi=160, layout="constrained")
    axes = canvas.add_subplot()
    ours, beside, marks = cycle(_OURS), cycle(_BESIDE), cycle(_MARKS)
    for line in figure.lines:
        xs, ys = zip(*line.points, strict=True)
        colour = next(ours if line.ours else beside)
        if len(line.points) > 1:
            width, style = (2.4, "-") if line.ours else (1.4, f"--{next(marks)}")
            axes.plot(xs, ys, style, color=colour, linewidth=width, markersize=5, label=line.name)
        else:
            # What is ours lies in the rings of what does and costs the same.
            face, size, above = (colour, 50, 4) if line.ours else ("none", 100, 3)
            axes.scatter(
                xs,
                ys,
                s=size,
                marker=next(marks),
                facecolors=face,
                edgecolors=colour,
                linewidths=1.8,
                label=line.name,
                zorder=above,
            )
    amounts = [x for line in figure.lines for x, _ in line.points]
    if min(amounts) > 0 and max(amounts) / min(amounts) > _LOG_FROM:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(figure.across)
    axes.set_ylabel(figure.up)
    axes.set_title(figure.title, loc="left", fontweight="bold")
    axes.grid(visible=True, color="#e2e8f0", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    canvas.supxlabel(figure.note, x=0.01, ha="left", fontsize=8, color="#475569")
    axes.legend(
        fontsize=8, frameon=False, labelspacing=0.9, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
    image = BytesIO()
    FigureCanvasAgg(canvas)
    canvas.savefig(image, format="png")
    return image.getvalue()
