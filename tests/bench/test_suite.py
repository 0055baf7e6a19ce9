"""Suites are read from three formats, and all mistakes are named at once."""

import gzip

import pytest

from orchestrator.bench.suite import Sample, SuiteError, read_suite

EXPECTED = (
    Sample("a", "What is 0.05 + 0.05?", "0.10", "sums"),
    Sample("2", "Which day follows Monday?", "Tuesday"),
)

SAME_SUITE = {
    "list.yaml": """\
- id: a
  question: What is 0.05 + 0.05?
  answer: 0.10
  group: sums
- prompt: Which day follows Monday?
  gold: Tuesday
  notes: [1, 2]
""",
    "mapping.yml": """\
name: days
samples:
  - {id: a, question: "What is 0.05 + 0.05?", answer: 0.10, group: sums}
  - {prompt: Which day follows Monday?, gold: Tuesday}
""",
    "suite.jsonl": """\
{"id": "a", "question": "What is 0.05 + 0.05?", "answer": 0.10, "group": "sums"}

{"prompt": "Which day follows Monday?", "gold": "Tuesday", "notes": [1, 2]}
""",
    "suite.csv": """\
id,question,answer,group,notes
a,What is 0.05 + 0.05?,0.10,sums,
,Which day follows Monday?,Tuesday,,"one, two"
""",
}


def write(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", SAME_SUITE)
def test_the_same_suite_in_every_format(tmp_path, name):
    assert read_suite(write(tmp_path, name, SAME_SUITE[name])) == EXPECTED


def test_a_byte_order_mark_as_spreadsheets_write_it_is_no_part_of_a_name(tmp_path):
    path = write(tmp_path, "s.csv", "\ufeffquestion,answer\nq,a\n")

    assert read_suite(path) == (Sample("1", "q", "a"),)


def test_csv_fields_may_hold_newlines(tmp_path):
    path = write(tmp_path, "s.csv", 'question,answer\n"one\ntwo",a\n')

    assert read_suite(path)[0].question == "one\ntwo"


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        (
            "s.jsonl",
            '{"question": "q"}\n{"prompt": "q", "gold": ""}\nnot json\n[1]\n{"answer": "a"}\n',
            [
                "s.jsonl:1: answer: is missing",
                "s.jsonl:2: answer: is missing",
                "s.jsonl:3: is no JSON",
                "s.jsonl:4: a sample is a JSON object",
                "s.jsonl:5: question: is missing",
            ],
        ),
        (
            "s.yaml",
            "- question: q\n- 7\n- {question: q, prompt: q, answer: a}\n- {answer: a, answer: b}\n",
            [
                "s.yaml:1: answer: is missing",
                "s.yaml:2: a sample is a mapping",
                "s.yaml:3: question: is given twice",
                "s.yaml:4: answer: is given twice",
            ],
        ),
        ("s.yaml", "a: [", ["s.yaml:1: is no YAML"]),
        ("s.yaml", "samples: 7\n", ["s.yaml:1: is no list of samples"]),
        ("s.yaml", "", ["s.yaml: holds no samples"]),
        (
            "s.csv",
            "question,answer\nq,a,b\nq,\n",
            ["s.csv:2: has more fields", "s.csv:3: answer: is missing"],
        ),
        (
            "s.csv",
            "id,question,answer\nx,q,a\nx,q,a\n",
            ["s.csv:3: id: 'x' is already taken"],
        ),
        ("s.txt", "", ["s.txt: a suite is a file in .yaml, .yml, .jsonl, .csv"]),
    ],
)
def test_all_mistakes_are_named_with_their_place(tmp_path, name, text, problems):
    path = write(tmp_path, name, text)

    with pytest.raises(SuiteError) as caught:
        read_suite(path)

    assert len(caught.value.problems) == len(problems)
    for found, expected in zip(caught.value.problems, problems, strict=True):
        assert found.removeprefix(f"{tmp_path}/").startswith(expected)


def test_a_missing_file_is_a_mistake_too(tmp_path):
    with pytest.raises(SuiteError, match="cannot be read"):
        read_suite(tmp_path / "none.yaml")


def test_aliases_do_not_multiply(tmp_path):
    levels = "".join(f"  - &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]\n" for i in range(1, 12))
    path = write(
        tmp_path, "s.yaml", f"bomb:\n  - &l0 x\n{levels}samples:\n  - {{question: q, answer: a}}\n"
    )

    assert len(read_suite(path)) == 1


WIDE = """\
sample_id,eval_name,prompt,small,large,small|model_response,large|model_response,small|total_cost,large|total_cost
a,sums,What is 0.05 + 0.05?,0.0,1.0,0.55,0.10,0.001,0.02
b,days,Which day follows Monday?,1.0,1.0,Tuesday,It is Tuesday,0.001,0.02
c,days,Which day is it?,0.0,0.5,no idea,Monday?,0.001,0.02
"""


@pytest.mark.parametrize("name", ["wide.csv", "wide.csv.gz"])
def test_a_wide_table_is_a_suite_of_what_some_model_answered_right(tmp_path, name):
    path, left_out = tmp_path / name, []
    path.write_bytes(gzip.compress(WIDE.encode()) if name.endswith("gz") else WIDE.encode())

    assert read_suite(path, left_out.append) == (
        Sample("a", "What is 0.05 + 0.05?", "0.10", "sums"),
        Sample("b", "Which day follows Monday?", "Tuesday", "days"),
    )
    assert left_out == [4]


def test_a_wide_table_may_name_the_right_answers_itself(tmp_path):
    header, *lines = WIDE.splitlines()
    named = "\n".join([f"{header},gold", *(f"{line},yes" for line in lines)])

    assert [sample.answer for sample in read_suite(write(tmp_path, "w.csv", named))] == ["yes"] * 3
