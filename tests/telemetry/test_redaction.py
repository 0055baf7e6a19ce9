"""What looks like a secret does not leave the process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.telemetry.redaction import redact


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
