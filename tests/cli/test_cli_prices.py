"""What a model costs, who says so, and what changed."""

import json

import pytest

MODEL = "openai/gpt-5-nano"


def test_each_list_is_shown_with_what_it_says(run, folder):
    done = run("prices", MODEL)

    assert done.code == 0
    assert "genai-prices" in done.out
    assert "litellm" in done.out
    assert f"{MODEL}, priced by genai-prices" in done.out
    assert "0.005" in done.out  # cached input


def test_prices_are_text_with_all_their_digits(run, folder):
    said = run("prices", "show", MODEL, "--json").json["models"][MODEL]

    for source in said["prices"].values():
        assert source["usd_per_million_tokens"]["input"] == "0.05"
        assert source["usd_per_million_tokens"]["output"] == "0.4"


def test_where_the_lists_differ_it_says_so(run, folder):
    assert "input 2 and 0.5" in run("prices", "mistral/mistral-large-latest").said


def test_a_model_that_nobody_prices_is_named(run, folder):
    done = run("prices", MODEL, "nobody/knows-it")

    assert done.code == 1
    assert "nobody/knows-it: no price is known; `price:` in the policy states one" in done.said
    assert MODEL in done.out


def test_the_policys_own_price_stands_before_the_lists(run, folder):
    said = run("prices", "show", "--policy", "policy.yaml", "--json").json["models"]["openai/small"]

    assert said["used"] == "policy"
    assert said["prices"]["policy"]["usd_per_million_tokens"] == {"input": "0.1", "output": "0.4"}


def test_a_price_is_that_of_its_moment(run, folder):
    at_noon, at_night = (
        run("prices", "deepseek/deepseek-chat", "--at", moment, "--json").json["models"]
        for moment in ("2025-03-01T12:00", "2025-03-01T20:00")
    )

    prices = [
        next(iter(one["deepseek/deepseek-chat"]["prices"].values()))["usd_per_million_tokens"]
        for one in (at_noon, at_night)
    ]
    assert [price["output"] for price in prices] == ["1.1", "0.55"]


def test_a_change_since_then_is_shown_and_nothing_else(run, folder):
    before = folder / "before.json"
    before.write_text(run("prices", "show", MODEL, "openai/gpt-5", "--json").out)
    unchanged = run("prices", "diff", str(before))
    text = before.read_text()
    before.write_text(text.replace('"10"', '"12"').replace("genai-prices ", "genai-prices 0."))

    done = run("prices", "diff", str(before), "--json")

    assert unchanged.code == 0
    assert unchanged.out.startswith("No price of 2 models changed.\n")
    assert "`checked: 20" in unchanged.out
    assert done.code == 1
    assert {tuple(change.values()) for change in done.json["changes"]} == {
        ("openai/gpt-5", source, "output", "12", "10") for source in ("genai-prices", "litellm")
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"models": []}', '{"models": {"a": {}}}'])
def test_a_file_of_another_form_is_refused(run, folder, text):
    (folder / "before.json").write_text(text)

    done = run("prices", "diff", "before.json")

    assert done.code == 2
    assert "is not what `prices show --json` printed" in done.said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show",), "name a model, for example openai/gpt-5-nano"),
        (("show", MODEL, "--at", "soon"), "'soon' is no moment; write 2026-11-01"),
    ],
)
def test_a_mistake_says_what_to_write(run, folder, arguments, words):
    done = run("prices", *arguments)

    assert done.code == 2
    assert words in done.said


def test_the_table_has_every_price_of_the_lists(run, folder):
    said = json.loads(run("prices", "show", "openai/gpt-5", "--json").out)["models"]["openai/gpt-5"]

    shown = run("prices", "openai/gpt-5").out
    for source in said["prices"].values():
        for part, price in source["usd_per_million_tokens"].items():
            assert part in shown
            assert price in shown
