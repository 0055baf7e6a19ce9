"""Each short example runs as it stands and shows what it says."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.policy.load import load_policy

EXAMPLES = Path(__file__).parents[2] / "examples"
SHOWN = {
    "hello": [
        "completed: The Pacific.",
        "  plan   asked small: $0.000027 (known)",
        "  answer asked small: $0.000025 (known)",
        "  in all $0.000052",
    ],
    "halt_and_resume": [
        r"process \d+: halted, $0.000155 so far",
        "  asked here: Research tides. ...",
        "  Step 'write' needs $0.000722 for one attempt; $0.000545 of $0.0007 is left .*",
        r"process \d+: completed, $0.000347 so far",
        "  asked here: Write up: The moon pulls and the water f ...",
    ],
    "fan_out": [
        r"halted by the budget of the task: \d of 20 lines for \S+",
        "completed: 20 of 20 lines for $0.00438",
        "20 model calls in all, one for each line",
    ],
    "streaming": [
        "The lamp went out. A gull, annoyed, lit it again.",
        "  $0.000058 for 49 characters",
        "  completed",
    ],
    "budget_per_user": [
        *["ana: completed, $0.000125"] * 4,
        "ana: halted, $0.00: Step 'answer' needs .* in the user budget of default/examples/ana: .*",
        "ben: completed, $0.000125",
    ],
    "memo": [
        "at once: 1 of 50 tasks paid, $0.000058 in all",
        "later: 0 of 1 tasks paid, $0.00 in all",
        "with another catalogue: 1 of 1 tasks paid, $0.000058 in all",
        "and again: 0 of 1 tasks paid, $0.00 in all",
    ],
    "finish_in_time": [
        "completed for $0.002673 after 18 notes: It is the moon.",
    ],
    "all_costs": [
        "completed: A sum of squares.",
        "  answer                   $0.000031 (known)",
        r"  resource:cpu_second      $\d.* (known)",
        "  resource:egress:eu->asia $0.008 (known)",
        "  resource:egress:eu->us   $0.008 (known)",
        "  resource:gib_month       $0.0115 (known)",
        r"  resource:gib_second      $\d.* (known)",
        r"  resource:gpu_second      $\d.* (estimated)",
        "  resource:human_minute    $1.62 (known)",
        "  tool:search              $0.005 (known)",
        r"  in all $\d.*, the sum of its parts",
    ],
    "tools": [
        "  searching for tides",
        "halted before tool:search",
        "  searching for moons",
        "completed: The moon makes the tides.",
        "  resource:egress:eu->us $0.0004",
        "  think                  $0.000062",
        "  tool:search            $0.01",
    ],
    "structured_output": [
        "large said it right, $0.000514 with the reply that was not accepted",
        "completed: article='lamp' pieces=12",
        "asked: small ($0.000054), large ($0.00046)",
    ],
}
ELSEWHERE = {"maths_agent", "maths_recording", "testing_cost"}


@pytest.mark.parametrize("name", SHOWN)
def test_it_shows_what_it_is_about(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    script = EXAMPLES / f"{name}.py"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])

    runpy.run_path(str(script), run_name="__main__")

    shown = capfd.readouterr().out
    # Money and brackets stand for themselves, `.*`, `\d` and `\S` for what differs.
    pattern = re.sub(r"[$()\[]|\.(?!\*)", r"\\\g<0>", "\n".join(SHOWN[name]))
    assert re.fullmatch(f"{pattern}\n", shown), shown
    if name == "halt_and_resume":
        first, second = re.findall(r"^process (\d+):", shown, re.MULTILINE)
        assert first != second


def test_the_tests_that_are_an_example_pass():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, EXAMPLES / "testing_cost.py"],
        cwd=EXAMPLES.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "4 passed" in done.stdout, done.stdout


@pytest.mark.parametrize(
    "name", ["policy.yaml", "budget_per_user.yaml", "tools.yaml", "all_costs.yaml"]
)
def test_their_policies_hold(name: str):
    assert load_policy(EXAMPLES / name).everyone.team == "examples"


def test_every_example_is_run_and_listed():
    page = (EXAMPLES.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    there = {file.stem for file in EXAMPLES.glob("*.py")}

    assert there == SHOWN.keys() | ELSEWHERE
    assert {name for name in there if f"examples/{name}.py" not in page} == {"maths_recording"}
