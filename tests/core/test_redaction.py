"""What looks like a secret does not leave the process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors import LedgerUnavailable
from orchestrator.core.redaction import mask, redact, without_quotes


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("bad key s~k-proj-abcDEF123456789", "abcDEF"),
        ("bad key s~k-ant-api03-abcDEF123456789", "abcDEF"),
        ("key s~k-abcd****wxyz refused", "abcd"),
        ("gs~k_abcDEF123456", "abcDEF"),
        ("h~f_abcDEF123456", "abcDEF"),
        ("AI~zaSyA1234567890abcdefghijklmnopqrstuv", "A1234"),
        ("AKI~AIOSFODNN7EXAMPLE", "IOSFODNN"),
        ("Authorization: Bearer abc.def-123", "def"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNl"),
        ('"api_key": "abcDEF123"', "abcDEF"),
        ("x-api-key=abcDEF123", "abcDEF"),
        ("AZURE_OPENAI_API_KEY=abcDEF123", "abcDEF"),
        ("client_secret: abcDEF123", "abcDEF"),
        ("password=hunter22", "hunter"),
        ("GET https://host/v1?key=abcDEF123&x=1", "abcDEF"),
        ("postgresql://user:~hunter22@db/ledger", "hunter"),
        ("redis://:~hunter22@cache/0", "hunter"),
        ("https://abcDEF123abcDEF123@github.com/x", "abcDEF"),
        ("GET https://host/v1?x=1&X-Amz-Signature=abcDEF123", "abcDEF"),
        ("GET https://host/v1?subscription-key=abcDEF123", "abcDEF"),
        ("Ocp-Apim-Subscription-Key: abcDEF123", "abcDEF"),
        ('{\\"refresh_token\\": \\"abcDEF123\\"}', "abcDEF"),
        ("xo~xb-1234567890-abcDEF123", "abcDEF"),
        (
            "-----BEGIN RSA PRIV~ATE KEY-----\nabcDEF123+/==\n-----END RSA PRIV~ATE KEY-----",
            "abcDEF",
        ),
        ("-----BEGIN PRIV~ATE KEY----- abcDEF123 and then cut", "abcDEF"),
        ("ey~JhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "c2lnbmF0"),
    ],
)
def test_secrets_are_masked(text, secret):
    text = text.replace("~", "")  # so that this file itself holds nothing that looks like a key
    assert secret in text
    assert secret not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "HTTP 429: rate limit of 40 requests exceeded, retry after 2 s",
        "max_tokens: 4000 is above the model's 2048",
        "https://api.example.com/v1/chat/completions answered 500",
        "the step plan of task task-018f3a2b halted at 0.25 USD",
        "KeyError: 'answer'",
        "ssh://git@github.com/x refused",
        "unexpected token: name",
    ],
)
def test_other_texts_stay_as_they_are(text):
    assert redact(text) == text


def test_long_texts_are_cut_after_masking():
    masked = redact("x" * 490 + " s" + "k-abcdefghijklmnop" + "y" * 1000)

    assert len(masked) <= 501
    assert "abcdef" not in masked


@given(st.text(max_size=300))
def test_any_text_can_be_redacted(text):
    assert len(redact(text)) <= 501


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "TEAM_TOKEN", "AWS_SECRET_ACCESS_KEY", "KEY"])
def test_what_the_environment_calls_a_secret_is_masked(name, monkeypatch):
    monkeypatch.setenv(name, "plain-words-only")

    assert mask("it said plain-words-only twice") == "it said *** twice"
    assert "plain" not in str(LedgerUnavailable("no way in with plain-words-only"))


@pytest.mark.parametrize(
    "spelt", ['pine/4 "apple"', "pine%2F4%20%22apple%22", 'pine/4 \\"apple\\"']
)
def test_a_secret_is_masked_however_it_is_spelt(spelt, monkeypatch):
    monkeypatch.setenv("TEAM_PASSWORD", 'pine/4 "apple"')

    assert mask(f"it said {spelt}.") == "it said ***."


@pytest.mark.parametrize("name", ["HOME", "MONKEY", "TOKENIZERS_PARALLELISM", "KEYBOARD"])
def test_other_variables_are_not_secret(name, monkeypatch):
    monkeypatch.setenv(name, "plain-words-only")

    assert mask("it said plain-words-only") == "it said plain-words-only"


def test_a_secret_that_is_a_part_of_another_leaves_nothing_of_it():
    assert mask("abcdefgh-ijk abcdefgh", secrets=["abcdefgh", "abcdefgh-ijk"]) == "*** ***"


def test_quotations_are_masked_and_the_rest_stays():
    said = "The vault opens\n  with marigold2291pine, they say."

    assert without_quotes("cannot parse: The vault opens with mari", said) == "cannot parse: ***"
    assert without_quotes("no such word: 'marigold2291pine'", said) == "no such word: '***'"
    assert without_quotes("the vault is closed", said) == "the vault is closed"


@given(st.text(max_size=100), st.text(min_size=24, max_size=60), st.text(max_size=100))
def test_no_quotation_of_24_characters_stays(before, quoted, after):
    said = " ".join(quoted.split())
    left = without_quotes(f"{before}{said}{after}", quoted)

    assert len(said) < 24 or said not in left
