"""Secrets in texts that leave the process: logs, events, pages."""

from __future__ import annotations

import re

MASK = "***"
_MAX_LENGTH = 500

# What provider keys look like, and what stands beside a key whatever it looks like. Errors of
# providers and HTTP libraries quote request headers, addresses and even the key itself.
_SECRETS = re.compile(
    r"""
    \b(?:sk|rk|gsk|xai|hf|pplx|csk|ghp|gho|ghs|github_pat|glpat|r8|tvly|nvapi|lsv2)
        [-_][A-Za-z0-9_*-]{6,}
  | \bAIza[A-Za-z0-9_-]{20,}
  | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b
  | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?
  | (?<=://)[^\s/@:]{1,256}:[^\s/@]{1,256}(?=@)
  | (?P<label>
        \b(?:bearer|basic)[ ]+
      | [\w-]{0,64}(?:api[-_ ]?key|secret|password|passwd|access[-_ ]?token|auth[-_ ]?token
          |authorization)["']?[ ]{0,4}[:=][ ]{0,4}["']?(?:(?:bearer|basic)[ ]+)?
      | [?&](?:key|token|sig|signature)=
    )
    [^\s"',;&)}\]]{4,}
    """,
    re.IGNORECASE | re.VERBOSE,
)


def mask(text: str) -> str:
    """``text`` with what looks like a secret masked."""
    return _SECRETS.sub(lambda match: f"{match.group('label') or ''}{MASK}", text)


def redact(text: str) -> str:
    """``text`` with what looks like a secret masked, cut to 500 characters.

    Cut, because an error message may quote the prompt; and cut last, so that no half of a secret
    escapes the patterns.
    """
    masked = mask(text)
    return masked if len(masked) <= _MAX_LENGTH else f"{masked[:_MAX_LENGTH]}…"
