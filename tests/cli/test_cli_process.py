"""The command line as a process of its own: exit codes, streams, signals, what it loads."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# A shell that starts the tests in the background lets them ignore Ctrl-C, which is inherited.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from orchestrator.cli.main import main; sys.argv[0] = 'orchestrator'; main()"
)
RUN = ("run", "agents:graph", "--agent", "solver", "--input", '{"question": "Why?"}')
WAITING = ("run", "agents:waiting", *RUN[2:], "--task-id", "t")
PATIENCE_S = 60
COMMANDS = (
    "",
    "demo",
    "run",
    "task",
    "task list",
    "task show",
    "task resume",
    "report cost",
    "ledger doubts",
    "ledger reconcile",
    "ledger verify",
    "policy check",
    "policy explain",
    "policy schema",
    "bench run",
    "replay",
)


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command where the user stands, with the user's environment."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False
    )


def test_a_task_halts_in_one_process_and_completes_in_another(run, upstream):
    halted = shell(*RUN, "--task-id", "t", "--budget", "0.00107", "--json")
    assert halted.returncode == 3
    assert json.loads(halted.stdout)["halt"]["reason"] == "budget"
    assert halted.stderr == "a node prints this\n"

    resumed = run("task", "resume", "t", "--add-budget", "0.005", "--json")

    assert resumed.code == 0
    assert resumed.json["output"]["answer"] == "42"
    assert len(upstream.log) == 2


@pytest.mark.usefixtures("folder")
def test_a_mistake_is_one_sentence_on_standard_error():
    done = shell("task", "list")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("orchestrator: there is no ledger at .orchestrator/ledger.db")
    assert done.stderr.count("\n") == 1


def test_help_of_every_command_is_there_and_loads_nothing_slow():
    program = f"""
import sys
from orchestrator.cli.main import main
for command in {COMMANDS!r}:
    sys.argv = ["orchestrator", *command.split(), "--help"]
    try:
        main()
    except SystemExit as done:
        assert not done.code, command
slow = ("aiohttp", "langgraph", "litellm", "sqlite3", "rich", "orchestrator.runtime")
print([name for name in slow if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    for command in COMMANDS:
        assert " ".join(f"Usage: orchestrator {command}".split()) in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


# Ctrl-C


@pytest.fixture
def waiting(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A task that has made its first model call and now waits in a node of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *WAITING],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        until = time.monotonic() + PATIENCE_S
        while not (folder / "waiting").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until, "the task never came to its node"
            time.sleep(0.01)
        yield process
        process.kill()


def test_a_task_is_watched_from_another_process_until_it_ends(waiting, folder):
    watching = [sys.executable, "-c", PROGRAM, "task", "watch", "t", "--every", "0.05"]
    with subprocess.Popen(watching, stdout=subprocess.PIPE, text=True) as watcher:
        assert "plan" in watcher.stdout.readline()
        (folder / "go").touch()
        out, _ = watcher.communicate(timeout=PATIENCE_S)
    waiting.communicate(timeout=PATIENCE_S)

    assert watcher.returncode == 0
    assert "answer" in out
    assert out.splitlines()[-1] == "completed, $0.00003 in 2 attempts"


def interrupt(process: subprocess.Popen[str]) -> str:
    process.send_signal(signal.SIGINT)
    return process.stderr.readline()


def test_ctrl_c_halts_the_task_and_it_can_be_resumed(waiting, run, folder, upstream):
    assert "Halting" in interrupt(waiting)
    (folder / "go").touch()
    out, err = waiting.communicate(timeout=PATIENCE_S)

    assert (waiting.returncode, err) == (130, "")
    assert "t: halted, $0.000012 in 1 attempt" in out
    assert "orchestrator task resume t" in out
    assert len(upstream.log) == 1

    assert run("task", "resume", "t").code == 0
    assert len(upstream.log) == 2


def test_a_second_ctrl_c_cancels_what_runs(waiting, run, folder):
    assert "Halting" in interrupt(waiting)
    assert "Cancelling" in interrupt(waiting)
    out, _ = waiting.communicate(timeout=PATIENCE_S)

    assert waiting.returncode == 130
    assert "t: halted" in out
    (folder / "go").touch()
    assert run("task", "resume", "t").code == 0


def test_ctrl_c_ends_the_demo_without_a_traceback(folder):
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "demo", "--latency-scale", "1000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert "SIMULATED" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)

    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
