from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from orchestrator.bench.report.figures import ReportError, read_figures
from orchestrator.bench.report.pages import as_html, as_markdown
from orchestrator.cli.main import app

ROUTE = {
    "curve": [[0.2, 0.8], [0.1, 0.6]],
    "questions": 9,
    "models": ["a", "b"],
    "cost_sources": [],
    "setup": {"labels": 5, "seeds": 2},
    "cost_usd": {"mean": 0.15},
    "quality": {"mean": 0.7},
    "baselines": {"all_cheapest": {"cost_usd": 0.1, "quality": 0.5}},
}
ROW = {"name": "<mine>|", "tasks": 4, "quality": 0.75, "cost_usd": "0.4", "source": "simulated"}
RUN = {"policies": [ROW], "baselines": [{**ROW, "name": "oracle", "quality": 1.0}]}
PLAN = {
    "simulated": {
        "steps": 8,
        "plans": 5,
        "seed": 0,
        "all_cheapest_cost": 8.5,
        "rules": [
            {"rule": rule, "budget": budget, "success": success}
            for rule in ("plan", "even_split")
            for budget, success in ((17.0, 0.1), (64.0, 0.3))
        ],
    },
    "recorded": [
        {
            "table": "t.csv",
            "runs": 3,
            "successes": 1,
            "rules": [
                {"rule": "none", "cost_share": 1.0, "kept": 1.0},
                {"rule": "steps of successful runs, quantile 1", "cost_share": 0.9, "kept": 1.0},
                {"rule": "steps of successful runs, quantile 0.5", "cost_share": 0.4, "kept": 0.5},
            ],
        }
    ],
}


@pytest.fixture
def reports(tmp_path):
    for name, report in {"route": ROUTE, "run": RUN, "plan": PLAN}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(report), encoding="utf-8")
    return tmp_path


def test_every_benchmark_is_read_as_figures(reports):
    (route,), (run,) = read_figures(reports / "route.json"), read_figures(reports / "run.json")
    assert route.lines[0].points == ((0.1, 0.6), (0.2, 0.8))
    assert [line.name for line in route.lines[1:]] == ["operating point", "all_cheapest"]
    assert run.note == "simulated numbers"
    assert run.lines[0].points == ((0.1, 0.75),)
    plans, stopped = read_figures(reports / "plan.json")
    assert "simulated" in plans.note
    assert [line.ours for line in plans.lines] == [True, False]
    assert stopped.lines[1].name == "steps of successful runs"
    assert stopped.lines[1].points == ((0.4, 0.5), (0.9, 1.0))


def test_names_are_text_and_never_markup(reports):
    figures = read_figures(reports / "run.json")
    assert "&lt;mine&gt;|" in as_html(figures, [b""])
    assert r"| **<mine>\|** | 0.1 | 0.75 |" in as_markdown(figures)


def test_what_is_no_report_is_told(reports):
    for text, words in (
        ("[]", "is no JSON of"),
        ("{", "cannot be read"),
        ('{"curve": 1}', "not as"),
    ):
        (reports / "t.json").write_text(text, encoding="utf-8")
        with pytest.raises(ReportError, match=words):
            read_figures(reports / "t.json")


class Loaded(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources = []

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "link", "iframe"}
        self.sources += [value for name, value in attrs if name in {"src", "href"}]


def test_the_command_writes_pictures_and_a_page_that_loads_nothing(reports):
    out = reports / "out"
    paths = [str(reports / f"{name}.json") for name in ("route", "run", "plan")]
    done = CliRunner().invoke(app, ["bench", "report", *paths, "--out", str(out), "--json"])
    assert done.exit_code == 0, done.exception
    assert len(json.loads(done.stdout)["figures"]) == 4
    for number in range(1, 5):
        image = (out / f"figure-{number}.png").read_bytes()
        assert image.startswith(b"\x89PNG")
        assert len(image) > 10_000
    page = Loaded()
    page.feed((out / "report.html").read_text(encoding="utf-8"))
    assert len(page.sources) == 4
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)


def test_without_matplotlib_the_extra_is_named(reports):
    program = """
import sys
sys.modules["matplotlib"] = None
from orchestrator.cli.main import main
main()
"""
    command = [sys.executable, "-c", program, "bench", "report", str(reports / "route.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install 'cost-aware-orchestrator[report]'" in done.stderr
