"""From nothing to a governed agent, and what is said of what is missing on the way."""

import shlex

import pytest

from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

PRICES = {"small": {"input": "0.10", "output": "0.40"}}
SKY = "Why is the sky blue?"
FIRST_NODE, SECOND_NODE = f"Plan how to answer: {SKY}", f"Think.\nAnswer: {SKY}"
SERVED = ("--model", "openai/small", "--strong", "openai/large")
PRICED = (*SERVED, "--price", "openai/small=0.1,0.4", "--price", "openai/large=1,4")


@pytest.fixture
def upstream():
    told = {FIRST_NODE: "Think.", SECOND_NODE: "It scatters."}
    replies = [
        RecordedReply(
            model="small", prompt=asked, response=reply, input_tokens=40, output_tokens=20
        )
        for asked, reply in told.items()
    ]
    with Upstream(replies, prices=PRICES).serve_in_thread() as serving:
        yield serving


@pytest.fixture
def bare(monkeypatch):
    """The environment of somebody who has just installed this."""
    for name in ("ORCHESTRATOR_POLICY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def findings(done):
    return {one["what"]: (one["state"], one["detail"]) for one in done.json["findings"]}


def test_what_init_says_to_type_runs_a_governed_agent(run, bare, folder, upstream, monkeypatch):
    done = run("init", "mine", "--api-base", upstream.url, *PRICED)

    for line in done.out.splitlines()[1:]:
        match shlex.split(line):
            case ["cd", where]:
                monkeypatch.chdir(where)
            case ["export", setting]:
                monkeypatch.setenv(*setting.split("=", 1))
            case ["orchestrator", *arguments]:
                last = run(*arguments)
                assert last.code == 0, last.said

    assert [entry.model for entry in upstream.log] == ["small", "small"]
    assert "$0.000024" in last.out  # of 2 x (40 at 0.10 + 20 at 0.40 USD per million tokens)
    assert "answer" in last.out
    assert "plan" in last.out


def test_it_asks_at_a_terminal_and_an_empty_answer_takes_the_default(
    run, bare, folder, monkeypatch
):
    monkeypatch.setattr("typer.prompt", lambda question, default, **_: f"{default}0")
    monkeypatch.setattr("orchestrator.cli.init._is_terminal", lambda: True)

    run(
        "init",
        "mine",
        "--team",
        "search",
        "--model",
        "openai/gpt-5-nano",
        "--strong",
        "openai/gpt-5",
    )

    policy = (folder / "mine" / "policy.yaml").read_text()
    assert "team: 'search'" in policy
    assert "limit: 0.100 USD" in policy
    assert "model: 'openai/gpt-5'" in policy


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (SERVED, "no price is known for `openai/small`"),
        ((*PRICED, "--budget", "0.001"), "does not pay one call of the cheapest model"),
        ((*PRICED, "--budget", "much"), "'much' is no amount in USD; write for example 0.10"),
        ((*PRICED, "--budget", "NaN"), "'NaN' is no amount in USD"),
    ],
)
def test_a_mistake_writes_nothing(run, bare, folder, arguments, words):
    done = run("init", "mine", *arguments)

    assert done.code == 2
    assert words in done.said
    assert not (folder / "mine").exists()


def test_nothing_is_overwritten(run, bare, folder):
    before = (folder / "policy.yaml").read_text()

    done = run("init", ".", *PRICED)

    assert done.code == 2
    assert "already there: policy.yaml" in done.said
    assert (folder / "policy.yaml").read_text() == before
    assert not (folder / "my_agent.py").exists()


def test_doctor_names_the_key_that_is_missing(run, bare, folder, monkeypatch):
    (folder / "p.yaml").write_text("models: {s: {model: openai/gpt-5-nano}}\n")

    without = run("doctor", "--policy", "p.yaml", "--json")
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-nobody-may-see")
    with_key = run("doctor", "--policy", "p.yaml", "--json")

    assert without.code == 2
    assert findings(without)["key of s"] == (
        "wrong",
        "openai/gpt-5-nano: OPENAI_API_KEY is not set",
    )
    assert with_key.code == 0
    assert "a-key-nobody-may-see" not in with_key.said


def test_doctor_names_an_unset_key_of_a_pool_and_a_stale_price(run, bare, folder, monkeypatch):
    monkeypatch.setenv("KEY_A", "secret-key-1")
    monkeypatch.delenv("KEY_B", raising=False)
    (folder / "p.yaml").write_text(
        "models: {small: {model: openai/foo, api_key_env: [KEY_A, KEY_B],"
        " price: {input: 1, output: 1, checked: 2020-01-01}}}\nstale_price: 90d\n"
    )
    done = run("doctor", "--policy", "p.yaml", "--json")
    found = {one["what"]: one for one in done.json["findings"]}
    assert found["key of small (KEY_A)"]["state"] == "ok"
    assert found["key of small (KEY_B)"]["state"] == "look"
    assert "KEY_B is not set" in found["key of small (KEY_B)"]["detail"]
    assert "stale" in found["price of small (KEY_B)"]["detail"]
    assert "`checked: 20" in found["price of small (KEY_B)"]["advice"]
    shown = run("prices", "show", "--policy", "p.yaml")
    assert "which is stale" in shown.said


def test_doctor_tells_every_mistake_of_the_policy(run, bare, folder):
    (folder / "p.yaml").write_text("models: {s: openai/gpt-5-nano}\nteams: a\nlimits: {steps: x}\n")

    done = run("doctor", "--policy", "p.yaml")

    assert done.code == 2
    assert "p.yaml:2: teams" in done.said
    assert "p.yaml:3: limits.steps" in done.said


def test_doctor_says_who_can_read_the_ledger(run, bare, folder, start):
    assert start("agents:graph", "--policy", "policy.yaml").code != 2
    ledger = folder / ".orchestrator" / "ledger.db"
    private = findings(run("doctor", "--json"))
    ledger.parent.chmod(0o755)
    ledger.chmod(0o644)

    opened = findings(run("doctor", "--json"))

    assert private["store"][0] == opened["store"][0] == "ok"
    assert "permissions" not in private
    assert opened["permissions"][0] == "look"


def test_doctor_does_not_print_the_password_of_a_store(run, bare, folder):
    done = run("doctor", "--store", "postgresql://me:hunter2@127.0.0.1:1/ledger")

    assert done.code == 2
    assert "hunter2" not in done.said


def test_doctor_calls_a_file_that_is_no_ledger_wrong(run, bare, folder):
    (folder / "some.db").write_text("these are notes")

    done = run("doctor", "--store", "sqlite:///some.db", "--json")

    assert done.code == 2
    assert findings(done)["store"][0] == "wrong"
    assert (folder / "some.db").read_text() == "these are notes"


def test_doctor_warns_of_a_release_that_stole_keys(run, bare, monkeypatch):
    monkeypatch.setattr("orchestrator.cli.diagnosis.version", lambda name: "1.82.7")

    done = run("doctor", "--json")

    assert done.code == 2
    assert findings(done)["litellm"] == ("wrong", "1.82.7")


def test_an_answer_that_is_no_amount_is_asked_for_again(run, folder, monkeypatch):
    monkeypatch.setattr("orchestrator.cli.init._is_terminal", lambda: True)

    done = run("init", "mine", stdin="platform\n\n\nmuch\n0.20\n")

    assert done.code == 0, done.err
    assert "'much' is no amount in USD" in done.said
    assert "limit: 0.20 USD" in (folder / "mine" / "policy.yaml").read_text()
