"""Reading recordings, and saying all that is wrong with one."""

import gzip
import json
import os
from pathlib import Path

import pytest

from orchestrator.testing.upstream.recording import TEXT_UNKNOWN, Recording, RecordingError

HEADER = "dataset,query_id,group,model,prompt,score,input_tokens,output_tokens,latency_s,response"
GOOD = {"model": "m", "prompt": "q", "response": "a"}


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_json_lines_with_every_field(tmp_path, name):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    row = GOOD | {
        "id": "q7", "input_tokens": 5, "output_tokens": 6, "cached_input_tokens": 2,
        "reasoning_tokens": 1, "latency_s": 0.5, "finish_reason": "length",
        "tool_calls": [call], "logprobs": {"content": []}, "group": "ignored", "score": 1.0,
    }  # fmt: skip
    file = write(tmp_path / name, json.dumps(row) + "\n\n")

    (reply,) = Recording.read(file).replies

    assert (reply.model, reply.prompt, reply.response, reply.query_id) == ("m", "q", "a", "q7")
    assert reply.tokens == (5, 6)
    assert (reply.cached_input_tokens, reply.reasoning_tokens) == (2, 1)
    assert (reply.latency_s, reply.finish_reason) == (0.5, "length")
    assert (reply.tool_calls, reply.logprobs) == ((call,), {"content": []})


@pytest.mark.parametrize("name", ["r.csv", "r.csv.gz"])
def test_csv_with_unknown_values(tmp_path, name):
    rows = [
        'd,q1,g,m,"How many,\nreally?",1.0,11,7.0,2.5,"Two ""or"" so"',
        "d,q2,g,m,,1.0,11,7,2.5,no prompt",
        "d,q3,g,m,Known tokens only?,,11,9,,",
        "d,q4,g,m,Nothing but text?,,,,,12345",
    ]
    file = write(tmp_path / name, "\r\n".join([HEADER, *rows]))

    recording = Recording.read(str(file))

    assert recording.skipped == 1
    first, second, third = recording.replies
    assert (first.prompt, first.response) == ("How many,\nreally?", 'Two "or" so')
    assert (first.query_id, first.tokens, first.latency_s) == ("q1", (11, 7), 2.5)
    assert (second.response, second.tokens) == (TEXT_UNKNOWN, (11, 9))
    assert third.tokens == (5, 2), "one token per four characters, rounded up"


def test_all_bad_lines_are_named_at_once(tmp_path):
    lines = [
        json.dumps(GOOD),
        "not json",
        "[1]",
        json.dumps({"model": "m", "prompt": "  ", "response": 5}),
        json.dumps(GOOD | {"input_tokens": -1, "output_tokens": 1.5, "latency_s": "soon"}),
        json.dumps(GOOD | {"tool_calls": {}, "logprobs": [], "finish_reason": 1}),
        json.dumps(GOOD | {"input_tokens": True}),
    ]
    file = write(tmp_path / "r.jsonl", "\n".join(lines))

    with pytest.raises(RecordingError) as caught:
        Recording.read(file)

    text = str(caught.value)
    for line, words in [
        (2, "no JSON"), (3, "no JSON object"), (4, "prompt"), (4, "response"), (5, "input_tokens"),
        (5, "output_tokens"), (5, "latency_s"), (6, "tool_calls"), (6, "logprobs"),
        (6, "finish_reason"), (7, "input_tokens"),
    ]:  # fmt: skip
        assert any(f"r.jsonl:{line}:" in said and words in said for said in text.splitlines())
    assert "r.jsonl:1:" not in text


def test_bad_csv_lines_are_named_by_where_they_start(tmp_path):
    rows = ['d,q1,g,m,"two\nlines",1,x,7,1,a', "d,q2,g,m,short", "d,q3,g,,q,1,1,1,1,a"]
    file = write(tmp_path / "r.csv", "\n".join([HEADER, *rows]))

    with pytest.raises(RecordingError) as caught:
        Recording.read(file)

    text = str(caught.value)
    assert "r.csv:2: input_tokens" in text
    assert "r.csv:4: has another number of fields" in text
    assert "r.csv:5: model" in text


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("r.csv", "model,prompt\nm,q", "no column response"),
        ("r.csv", HEADER + "\n", "no line"),
        ("r.csv", HEADER + '\nd,q,g,m,"open', "no CSV"),
        ("r.jsonl", "", "no line"),
        ("r.txt", "x", ".jsonl or .csv"),
    ],
)
def test_a_file_that_is_no_recording_says_why(tmp_path, name, text, words):
    file = write(tmp_path / name, text)

    with pytest.raises(RecordingError, match=words):
        Recording.read(file)


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    broken = tmp_path / "r.csv.gz"
    broken.write_bytes(b"no gzip")
    latin = tmp_path / "r.jsonl"
    latin.write_bytes(b'{"model": "\xff"}')

    for file in (broken, latin, tmp_path / "absent.jsonl"):
        with pytest.raises(RecordingError, match="cannot be read"):
            Recording.read(file)


def test_a_prompt_may_be_longer_than_csvs_own_limit(tmp_path):
    file = write(tmp_path / "r.csv", f"model,prompt,response\nm,{'long ' * 50_000},a")

    assert len(Recording.read(file).replies[0].prompt) == 250_000


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["routellm_gsm8k", "bfcl_v1_2024_08", "llmrouter_uiuc"])
def test_recorded_replies_of_real_models_can_be_read(name):
    beside = Path(__file__).parents[3] / "shared" / "data"
    file = Path(os.environ.get("ORCHESTRATOR_RECORDED", beside)) / f"{name}.csv.gz"
    if not file.exists():
        pytest.skip("the recorded replies are not here")

    recording = Recording.read(file)

    assert len(recording.replies) > 1000
