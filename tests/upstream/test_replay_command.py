"""``orchestrator replay`` as a process of its own."""

import json
import signal
import subprocess
import sys

import httpx
import pytest
import typer
from typer.testing import CliRunner

from orchestrator.cli.replay import replay

PROGRAM = "import typer; from orchestrator.cli.replay import replay; typer.run(replay)"
ASKED = {"model": "openai/m", "messages": [{"role": "user", "content": "q"}]}


@pytest.fixture
def recording(tmp_path):
    file = tmp_path / "r.jsonl"
    reply = {"model": "m", "prompt": "q", "response": "a", "input_tokens": 10, "output_tokens": 5}
    file.write_text(json.dumps(reply))
    return str(file)


@pytest.fixture
def started():
    running = []

    def start(*arguments) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, *arguments]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_it_serves_until_interrupted_and_then_prints_the_bill(started, recording):
    process = started(
        recording,
        "--port",
        "0",
        "--price",
        "m=0.10,0.40",
        "--fault",
        "server_error:times=1",
        "--json",
    )
    opening = json.loads(process.stdout.readline())
    statuses = [
        httpx.post(f"{opening['url']}/chat/completions", json=ASKED).status_code for _ in range(3)
    ]

    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=30)

    assert opening["models"] == ["m"]
    assert statuses == [500, 200, 200]
    assert json.loads(rest) == {
        "requests": 3, "billed_usd": "0.000006000", "unpriced_requests": 0
    }  # fmt: skip
    assert process.returncode == 0


def test_it_says_how_to_point_a_policy_at_it(started, recording):
    process = started(recording, "--port", "0")
    lines = [process.stdout.readline() for _ in range(4)]
    url = lines[0].split()[-1]
    httpx.post(f"{url}/chat/completions", json=ASKED)

    process.send_signal(signal.SIGTERM)
    rest, _ = process.communicate(timeout=30)

    assert f"{{model: openai/m, api_base: {url}}}" in lines[3]
    assert "1 requests, billed $0.00; 1 of models without --price" in rest


def test_a_port_in_use_is_said(started, recording):
    first = started(recording, "--port", "0", "--json")
    url = json.loads(first.stdout.readline())["url"]

    result = run(recording, "--port", url.split(":")[2].removesuffix("/v1"))

    assert result.exit_code == 2
    assert "--port" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--price", "m"], "MODEL=IN,OUT"),
        (["--price", "m=1,x"], "no number"),
        (["--fault", "explode"], "kind must be one of"),
        (["--latency-scale", "-1"], "latency-scale"),
    ],
)
def test_what_cannot_be_meant_is_explained(recording, arguments, words):
    result = run(recording, *arguments)

    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


def test_a_bad_recording_is_explained(tmp_path):
    result = run(str(tmp_path / "absent.jsonl"))

    assert result.exit_code == 2
    assert "absent.jsonl" in result.output.replace("\n", "").replace("│", "").replace(" ", "")


def run(*arguments):
    app = typer.Typer()
    app.command()(replay)
    return CliRunner().invoke(app, arguments)
