"""Durations as people write them."""

from datetime import timedelta

import pytest

from orchestrator.core.durations import parse_duration


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("30d", 30 * 86_400),
        ("1.5h", 5400),
        ("500ms", 0.5),
        (" 2 m ", 120),
        (90, 90),
        (0.25, 0.25),
        (timedelta(minutes=5), 300),
    ],
)
def test_a_duration_is_read_as_seconds(value: str | float | timedelta, seconds: float):
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *("", "90", "10 minutes", "1h30m", "-5s", "0s", "1e3s", ".5h", "m", "1" * 400 + "d"),
        "\N{ARABIC-INDIC DIGIT THREE}s",
        *(0, -1, True, None, [], float("nan"), float("inf"), timedelta(0)),
    ],
)
def test_what_is_no_duration_says_what_to_write(value: object):
    with pytest.raises(ValueError, match=r"is no duration; write .*'90s', '10m' or '1\.5h'"):
        parse_duration(value)  # type: ignore[arg-type]  # wrong on purpose
