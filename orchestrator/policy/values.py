"""Reading each kind of value from text, and what is said when it is written otherwise."""

from __future__ import annotations

import difflib
import itertools
import re
import zoneinfo
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import get_args
from urllib.parse import urlsplit

from orchestrator.budgets.rules import WHOLE, Threshold, ThresholdAction
from orchestrator.core.durations import parse_duration
from orchestrator.memo.sharing import PRIVATE, SECRET, Share
from orchestrator.models.rates import Rate
from orchestrator.policy.tree import one_line

MAX_COUNT = 10**12
MAX_SECONDS = 10 * 365 * 86_400
MAX_TEXT = 2_000
MAX_NAME = 100
MAX_CHOICES = 20
ACTIONS: tuple[ThresholdAction, ...] = get_args(ThresholdAction)
BUILT_IN_LABELS = (PRIVATE, SECRET)
ON = ("on", "yes", "true")
OFF = ("off", "no", "false")  # what YAML 1.1 and 1.2 spell differently

NUMBER = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
PERIODS: Mapping[str, float] = MappingProxyType({"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0})
COUNT = re.compile(r"((?:0|[1-9][0-9]*)(?:\.[0-9]+)?)([kM]?)")
SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kMG]i?B)")
SIZE_UNITS = MappingProxyType(
    {"kB": 10**3, "MB": 10**6, "GB": 10**9, "kiB": 2**10, "MiB": 2**20, "GiB": 2**30}
)
MIN_SIZE, MAX_SIZE = 10**6, 2**40
MEMO_STORES = ("redis", "rediss", "unix")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SHARE = re.compile(r"((?:0|[1-9][0-9]{0,2})(?:\.[0-9]{1,4})?) ?%")
MODEL = re.compile(r"[A-Za-z0-9_-]+/\S+")


def shown(text: str) -> str:
    """``text`` in a message."""
    return f"`{one_line(text)}`"


def suggestion(word: str, known: Iterable[str]) -> str:
    """``, did you mean `small`?``, or nothing if no known word is near."""
    near = difflib.get_close_matches(word[:MAX_NAME], list(itertools.islice(known, 1_000)), n=1)
    return f"; did you mean `{near[0]}`?" if near else ""


def choices(known: Collection[str]) -> str:
    """`` `a`, `b` `` and how many more."""
    some = ", ".join(f"`{word}`" for word in itertools.islice(known, MAX_CHOICES))
    more = len(known) - MAX_CHOICES
    return f"{some} and {more} more" if more > 0 else some


def read_count(text: str) -> int:
    """``40``, ``500k`` or ``2M``; at least 1."""
    match = COUNT.fullmatch(text)
    if match is None:
        message = f"{shown(text)} is no count; write a whole number, as in `40`, `500k` or `2M`"
        raise ValueError(message)
    number, unit = match.groups()
    if len(number) > len(str(MAX_COUNT)):
        message = f"{shown(text)} is too large; write at most {MAX_COUNT // 10**6}M"
        raise ValueError(message)
    count = Decimal(number) * {"": 1, "k": 1_000, "M": 1_000_000}[unit]
    if count != count.to_integral_value() or not 1 <= count <= MAX_COUNT:
        message = f"{shown(text)} is no whole number from 1; write for example `40` or `500k`"
        raise ValueError(message)
    return int(count)


def read_rate(text: str) -> Rate:
    """``60/min`` or ``100k/min``."""
    amount, slash, unit = text.replace(" ", "").partition("/")
    if not slash or unit not in PERIODS:
        bare = f"`{amount}/min`" if COUNT.fullmatch(amount) else "`60/min`"
        message = f"{shown(text)} is no rate; write a count per s, min, h or d, as in {bare}"
        raise ValueError(message)
    return Rate(read_count(amount), PERIODS[unit])


def read_shares(value: object) -> dict[str, int]:
    """``{acme: 2}``: the weight of each tenant."""
    if not isinstance(value, dict) or not value:
        message = "is no mapping of tenants; write for example `{acme: 2}`"
        raise ValueError(message)
    return {read_name(tenant): read_count(str(weight)) for tenant, weight in value.items()}


def read_duration(text: str) -> float:
    """``90s`` or ``10m``, in seconds; above 0."""
    try:
        seconds = parse_duration(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= MAX_SECONDS:
        message = (
            f"{shown(text)} is no duration; write a number above 0 and ms, s, m, h or d, as in"
            " `10m`, at most `3650d`"
        )
        raise ValueError(message)
    return seconds


def read_size(text: str) -> int:
    """``500 MB`` or ``1 GiB``, in bytes; at least 1 MB."""
    match = SIZE.fullmatch(text)
    size = int(Decimal(match[1]) * SIZE_UNITS[match[2]]) if match and len(match[1]) <= 12 else 0  # noqa: PLR2004 - digits of any size there is
    if not MIN_SIZE <= size <= MAX_SIZE:
        message = f"{shown(text)} is no size; write for example `500 MB` or `1 GiB`, from `1 MB`"
        raise ValueError(message)
    return size


def read_memo_store(text: str) -> str:
    """``redis://host:6379/0``, or ``env:VARIABLE`` for an address that holds a password."""
    kind, _, variable = text.partition(":")
    if kind == "env":
        return f"env:{read_variable(variable)}"
    try:
        parts = urlsplit(read_text(text))
        is_usable = parts.scheme in MEMO_STORES and bool(parts.hostname or parts.path.strip("/"))
        is_usable = is_usable and parts.port != 0
    except ValueError:
        parts, is_usable = urlsplit(""), False
    if parts.password is not None:
        message = "holds a password; put the address into a variable and write `env:MEMO_STORE`"
        raise ValueError(message)
    if not is_usable:
        message = (
            f"{shown(text)} is no address of a Redis; write for example `redis://127.0.0.1:6379/0`,"
            " or remove it: without it the memo lies on disk"
        )
        raise ValueError(message)
    return text


def read_probability(text: str) -> float:
    """``0.9``, from 0 to 1."""
    if NUMBER.fullmatch(text) and len(text) <= MAX_NAME and float(text) <= 1:
        return float(text)
    percent = NUMBER.fullmatch(text.removesuffix("%"))
    near = Decimal(percent[0]) / 100 if percent and len(percent[0]) <= 6 else None  # noqa: PLR2004 - 99.999
    hint = f"`{near.normalize():f}`" if near is not None and near <= 1 else "`0.9`"
    message = f"{shown(text)} is no confidence; write a number from 0 to 1, as in {hint}"
    raise ValueError(message)


def read_text(text: str) -> str:
    """Any text on one line."""
    if not text.strip() or len(text) > MAX_TEXT or not text.isprintable():
        message = f"{shown(text)} is no line of text; write 1 to {MAX_TEXT} printable characters"
        raise ValueError(message)
    return text


def read_name(text: str) -> str:
    """A name: one line, not long, no space at either end."""
    if not text or len(text) > MAX_NAME or not text.isprintable() or text != text.strip():
        message = f"{shown(text)} is no name; write 1 to {MAX_NAME} printable characters"
        raise ValueError(message)
    return text


def read_holder(text: str) -> str:
    """A name of an org, team or agent; ``/`` divides these in the ledger's keys."""
    if "/" in text:
        message = f"{shown(text)} contains `/`, which parts org, team and agent; write `-`"
        raise ValueError(message)
    return read_name(text)


def read_model(text: str) -> str:
    """``openai/gpt-5-nano``."""
    if not MODEL.fullmatch(read_text(text)):
        message = f"{shown(text)} names no provider; write one before it, as in `openai/gpt-5-nano`"
        raise ValueError(message)
    return text


def read_address(text: str) -> str:
    """``http://127.0.0.1:1234/v1``."""
    try:
        parts = urlsplit(read_text(text))
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no text, a broken IPv6 address, or a port that is no number
        parts, is_usable = urlsplit(""), False
    if parts.username is not None or parts.password is not None:
        # The address itself is not shown: it holds a secret.
        message = "holds a user name or password; name the key's variable in `api_key_env`"
        raise ValueError(message)
    if not is_usable:
        message = f"{shown(text)} is no address; write for example `http://127.0.0.1:8000/v1`"
        raise ValueError(message)
    return text


def read_variable(text: str) -> str:
    """``OPENAI_API_KEY``."""
    if not VARIABLE.fullmatch(text) or len(text) > MAX_NAME:
        # What stands there may be the key itself: do not repeat it.
        message = "is no name of an environment variable; write for example `OPENAI_API_KEY`"
        raise ValueError(message)
    return text


def one_or_more(read: Callable[[str], str]) -> Callable[[object], tuple[str, ...]]:
    """A reader of one text, or of a list in which none comes twice."""

    def read_all(value: object) -> tuple[str, ...]:
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(one, str) for one in texts):
            message = "is neither one text nor a list of texts; write `[first, second]`"
            raise ValueError(message)
        found = tuple(map(read, texts))
        if len(set(found)) < len(found):
            message = "names the same twice; keep one"
            raise ValueError(message)
        return found

    return read_all


def read_zone(text: str) -> str:
    """``Europe/Berlin``."""
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        hint = suggestion(text, zoneinfo.available_timezones())
        message = (
            f"{shown(text)} is no IANA time zone{hint or '; write for example `Europe/Berlin`'}"
        )
        raise ValueError(message) from error
    return text


def read_pattern(text: str) -> str:
    """A regular expression of Python's."""
    if not text:
        message = "has an empty pattern, which accepts everything; write for example `'^ANSWER: '`"
        raise ValueError(message)
    try:
        re.compile(text, re.MULTILINE)
    except (re.error, RecursionError, OverflowError, Warning) as error:  # or a warning made one
        message = f"{shown(text)} is no regular expression ({error}); correct it"
        raise ValueError(message) from error
    return text


def read_off(value: object) -> None:
    """``off``, for what is not built yet."""
    if not isinstance(value, str) or value.lower() not in OFF:
        message = "is not built yet; remove the key or write `off`"
        raise ValueError(message)


def read_switch(text: str) -> bool:
    """``on`` or ``off``, in any spelling of YAML's."""
    if text.lower() not in (*ON, *OFF):
        message = f"{shown(text)} is neither; write `on` or `off`"
        raise ValueError(message)
    return text.lower() in ON


def one_of(*words: str, later: Collection[str] = ()) -> Callable[[str], str]:
    """A reader of one of ``words``; those in ``later`` are known, but not built yet."""
    choice = choices(words)

    def read(text: str) -> str:
        if text in words:
            return text
        if text in later:
            message = f"{shown(text)} is not built yet; write one of {choice}"
            raise ValueError(message)
        hint = suggestion(text, words) or f"; write one of {choice}"
        message = f"{shown(text)} is unknown{hint}"
        raise ValueError(message)

    return read


def off_is_nothing(value: object) -> object:
    """``None`` for ``off``; a mapping is left as it is."""
    if value is None:
        message = "has no value; write its keys below it, or `off`"
        raise ValueError(message)
    is_off = isinstance(value, str) and value.lower() in OFF
    return None if is_off else value


SHARES: tuple[Share, ...] = get_args(Share)


def read_labels(value: object) -> dict[str, str]:
    """``{partner: org}``: labels of a team's own, and the widest sharing each allows."""
    if not isinstance(value, dict) or not value:
        message = "is no mapping of labels; write for example `{partner: org}`"
        raise ValueError(message)
    for label, share in value.items():
        read_name(label)
        if label in BUILT_IN_LABELS or label in SHARES:
            message = f"{shown(label)} has a meaning already; name a label of your own"
            raise ValueError(message)
        if share not in SHARES:
            known = choices(SHARES)
            message = (
                f"{shown(str(share))} of label {shown(label)} is unknown; write one of {known}"
            )
            raise ValueError(message)
    return value


def read_thresholds(value: object) -> tuple[Threshold, ...]:
    """``{80%: economize, 100%: halt}``, lowest first."""
    if not isinstance(value, dict) or not value:
        message = "is no mapping of shares; write for example `{80%: economize, 100%: halt}`"
        raise ValueError(message)
    found = sorted(_threshold(str(share), action) for share, action in value.items())
    if len({share for share, _ in found}) < len(found):
        message = "names the same share twice; keep one"
        raise ValueError(message)
    return tuple(Threshold(share, action) for share, action in found)


def read_shared_thresholds(value: object) -> tuple[Threshold, ...]:
    """The same for a budget that tasks share: no single task can ask for more of it."""
    found = read_thresholds(value)
    if any(one.action == "ask" for one in found):
        message = "only `budgets.task` can `ask`: what is granted is for one task; write `halt`"
        raise ValueError(message)
    return found


def _threshold(text: str, action: object) -> tuple[int, ThresholdAction]:
    match = SHARE.fullmatch(text)
    share = Decimal(match[1]) * 100 if match else Decimal(0)
    if share != share.to_integral_value() or not 0 < share <= WHOLE:
        message = f"{shown(text)} is no share; write a percentage up to `100%`, as in `80%`"
        raise ValueError(message)
    if action not in ACTIONS:
        message = f"{shown(str(action))} at {text} is unknown; write one of {choices(ACTIONS)}"
        raise ValueError(message)
    if action == "ask" and share != WHOLE:
        message = "a person is asked when all is spent; write `100%: ask`"
        raise ValueError(message)
    return int(share), action
