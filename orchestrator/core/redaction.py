"""Secrets in texts that leave the process: errors, logs, events, recordings, pages."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"
_MAX_LENGTH = 500

# Variables whose values are secrets by their names. What is shorter than a key is no key, and
# would mask half of every text.
_SECRET_NAMES = re.compile(
    r"(?:^|_)(?:API_?)?(?:KEYS?|TOKENS?|SECRETS?|PASSWORD|PASSWD|CREDENTIALS?)(?:_|$)",
    re.IGNORECASE,
)
_SHORTEST = 8

# So much in a row is a quotation; words this long with a digit in them are quoted one by one.
_QUOTED = 24
_WORD = re.compile(r"[^\s\"'`,;:(){}<>\[\]]{8,}")

# What provider keys look like, and what stands beside a key whatever it looks like. Errors of
# providers and HTTP libraries quote request headers, addresses and even the key itself.
_SECRETS = re.compile(
    r"""
    -----BEGIN[ ][A-Z ]{0,32}PRIVATE[ ]KEY-----(?:[^-]|-(?!-))*(?:-----END[A-Z ]{0,48}-----)?
  | \b(?:sk|rk|gsk|xai|hf|pplx|csk|ghp|gho|ghs|github_pat|glpat|r8|tvly|nvapi|lsv2|npm|whsec|fw
        |xox[abeprs])
        [-_][A-Za-z0-9_*-]{6,}
  | \bAIza[A-Za-z0-9_-]{20,}
  | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b
  | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?
  | \bya29\.[A-Za-z0-9_-]{8,}
  | (?<=://)[^\s/@:]{0,256}:[^\s/@]{1,256}(?=@)
  | (?<=://)[^\s/@:]{16,256}(?=@)
  | (?P<label>
        \b(?:bearer|basic)[ ]+
      | [\w-]{0,64}(?:api[-_ ]?key|secret|password|passwd|passphrase|authorization
          |(?:access|account|private|shared|subscription)[-_ ]?key
          |(?:access|auth|bearer|id|refresh|security|session)[-_ ]?token)
          \\?["']?[ ]{0,4}[:=][ ]{0,4}\\?["']?(?:(?:bearer|basic)[ ]+)?
      | [?&](?:[\w-]{0,64}[-_])?(?:key|token|sig|signature|credential|pwd)=
    )
    [^\s"',;&)}\]]{4,}
    """,
    re.IGNORECASE | re.VERBOSE,
)


def mask(text: str, *, secrets: Iterable[str] = ()) -> str:
    """``text`` with secrets masked.

    Masked are ``secrets``, the values of environment variables whose names say that they are secret
    (``..._KEY``, ``..._TOKEN``, ``..._SECRET``, ``..._PASSWORD``), and what looks like a secret.
    """
    named = (value for name, value in os.environ.items() if _SECRET_NAMES.search(name))
    given = {one for one in (*secrets, *named) if len(one) >= _SHORTEST}
    # As addresses and JSON spell it, too.
    spelt = (form for one in given for form in (one, quote(one, safe=""), json.dumps(one)[1:-1]))
    known = {one for one in spelt if one in text}
    for secret in sorted(known, key=len, reverse=True):  # one may be a part of another
        text = text.replace(secret, MASK)
    return _SECRETS.sub(lambda match: f"{match.group('label') or ''}{MASK}", text)


def without_quotes(text: str, said: str) -> str:
    """``text`` with what it quotes of ``said`` masked.

    A quotation is 24 characters in a row, or a word of eight or more with a digit in it.
    Providers quote the prompt in their errors, and a prompt may hold anything.
    """
    said = " ".join(said.split())
    kept: list[str] = []
    at = 0
    while at < len(text):
        end = at + _QUOTED
        if end <= len(text) and text[at:end] in said:
            while end < len(text) and text[at : end + 1] in said:
                end += 1
            kept.append(MASK)
            at = end
        else:
            kept.append(text[at])
            at += 1
    return _WORD.sub(
        lambda word: MASK if any(map(str.isdigit, word[0])) and word[0] in said else word[0],
        "".join(kept),
    )


def keep_details_unlogged(*loggers: str) -> None:
    """Let ``loggers`` of libraries log warnings only, unless somebody has set their level.

    In detail they log requests, answers and what is stored, so keys and prompts, wherever all of a
    process is logged.
    """
    for name in loggers:
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)


def redact(text: str) -> str:
    """``text`` with secrets masked, cut to 500 characters.

    Cut, because an error message may quote the prompt; and cut last, so that no half of a secret
    escapes the patterns.
    """
    masked = mask(text)
    return masked if len(masked) <= _MAX_LENGTH else f"{masked[:_MAX_LENGTH]}…"
