"""No text names a machine, a package index or a secret."""

import re

import pytest

# A class of one letter keeps each pattern from matching itself.
FORBIDDEN = {
    "a package index": re.compile(r"py[p]i\.|pythonhos[t]ed|/simpl[e]\b", re.IGNORECASE),
    "a path of one machine": re.compile(
        r"(?<![\w.:/*}])/(?:hom[e]|opt|roo[t]|tm[p]|User[s]|wor[k])/"
    ),
    "a provider's key": re.compile(r"\b(?:s[k]-[\w-]{16,}|AKI[A][0-9A-Z]{12,}|gh[pousr]_\w{16,})"),
    "a private key": re.compile(r"-----BEGI[N] [A-Z ]*PRIVATE KEY"),
    "a token": re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.|\bxox[abpr]-\w{8,}"),
}


def findings(text: str) -> list[str]:
    return [
        f"line {number}: {what}"
        for number, line in enumerate(text.splitlines(), start=1)
        for what, pattern in FORBIDDEN.items()
        if pattern.search(line)
    ]


def test_no_text_names_a_machine_an_index_or_a_secret(committed_texts: dict[str, str]):
    assert "Makefile" in committed_texts
    assert {
        path: found for path, text in committed_texts.items() if (found := findings(text))
    } == {}


@pytest.mark.parametrize(
    "text",
    [
        "--index-url https://py" + "pi.example",
        "/ho" + "me/ada/ledger.db",
        "key = 's" + "k-abcdefghij0123456789'",
        "-----BEGI" + "N RSA PRIVATE KEY-----",
        "eyJhbGciOiJI." + "eyJzdWIiOiIx.x",
    ],
)
def test_each_kind_is_found(text: str):
    assert len(findings(text)) == 1
