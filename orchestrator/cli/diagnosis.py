"""What can be wrong before the first task: each thing looked at, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from orchestrator.core.errors import LedgerUnavailable, PolicyError

if TYPE_CHECKING:
    from orchestrator.models.settings import ModelSettings
    from orchestrator.policy.records import Policy
    from orchestrator.pricing.quote import Quote
    from orchestrator.pricing.staleness import StalePrice

State = Literal["ok", "look", "wrong"]

PACKAGES = ("langgraph", "litellm", "genai-prices", "diskcache")
MALICIOUS_LITELLM = frozenset({"1.82.7", "1.82.8"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: The thing.
        state: ``ok``; ``look``: it works, but may surprise; ``wrong``: tasks will not run.
        detail: What was found.
        advice: What to do; empty if nothing.
    """

    what: str
    state: State
    detail: str
    advice: str = ""


def diagnose(policy_path: str | None, store: str) -> Iterator[Finding]:
    """Look at everything; no model is asked and no ledger is made.

    Args:
        policy_path: The policy, if there is one.
        store: The ledger's URL.
    """
    yield Finding(what="python", state="ok", detail=sys.version.split()[0])
    yield from _packages()
    yield from _store(store)
    yield _encryption()
    if policy_path is None:
        advice = "name one with --policy or ORCHESTRATOR_POLICY, or write one: orchestrator init"
        yield Finding(what="policy", state="look", detail="none named", advice=advice)
        return
    yield from _policy(policy_path)


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            installed = version(name)
        except PackageNotFoundError:
            advice = f"pip install {name}"
            yield Finding(what=name, state="wrong", detail="not installed", advice=advice)
            continue
        if name == "litellm" and installed in MALICIOUS_LITELLM:
            advice = (
                "this release stole credentials: remove it, change every key this machine has seen"
            )
            yield Finding(what=name, state="wrong", detail=installed, advice=advice)
        else:
            yield Finding(what=name, state="ok", detail=installed)


def _store(url: str) -> Iterator[Finding]:
    from orchestrator.ledger.factory import reader_from_url, sqlite_path

    try:
        path = sqlite_path(url)
        if path is not None and not path.exists():
            yield _place_for(path)
            return
        if not url.startswith("memory:"):
            reader_from_url(url).close()
    except LedgerUnavailable as error:
        yield Finding(what="store", state="wrong", detail=str(error), advice="see --store")
        return
    yield Finding(what="store", state="ok", detail=_without_password(url))
    if path is not None:
        yield from _private(path)


def _place_for(path: Path) -> Finding:
    """Whether a ledger can be made at ``path``, where there is none."""
    parent = next(one for one in path.absolute().parents if one.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        return Finding(what="store", state="ok", detail=f"{path} will be made by the first task")
    advice = f"make {parent} writable, or name another store"
    return Finding(what="store", state="wrong", detail=f"{parent} is read-only", advice=advice)


def _private(path: Path) -> Iterator[Finding]:
    """Who else on this machine can read prompts and replies."""
    others = stat.S_IRWXG | stat.S_IRWXO
    # A directory nobody else may enter hides whatever mode the file in it has.
    if path.stat().st_mode & others and path.absolute().parent.stat().st_mode & others:
        advice = f"chmod 600 {path}, unless they may"
        detail = f"{path} can be read by others on this machine"
        yield Finding(what="permissions", state="look", detail=detail, advice=advice)
    if not os.access(path, os.W_OK):
        advice = f"make {path} writable"
        yield Finding(what="permissions", state="wrong", detail="read-only", advice=advice)


def _encryption() -> Finding:
    """Whether what is said will be encrypted."""
    from orchestrator.core.sealing import ENCRYPTION_VARIABLE, EncryptionError
    from orchestrator.runtime.storage.encryption import seal_from_environment

    try:
        is_set = seal_from_environment().is_set
    except EncryptionError as error:
        advice = "see docs/security.md"
        return Finding(what="encryption", state="wrong", detail=str(error), advice=advice)
    detail = (
        "on" if is_set else f"off: prompts and replies lie in plain text ({ENCRYPTION_VARIABLE})"
    )
    return Finding(what="encryption", state="ok", detail=detail)


def _without_password(url: str) -> str:
    before, at, after = url.rpartition("@")
    scheme, colon, _ = before.rpartition(":")
    return f"{scheme}:***@{after}" if at and colon and "//" in scheme else url


def _policy(path: str) -> Iterator[Finding]:
    from orchestrator.policy.load import load_policy

    try:
        policy = load_policy(path)
    except PolicyError as error:
        for problem in error.problems:
            yield Finding(
                what="policy", state="wrong", detail=str(problem), advice="edit the policy"
            )
        return
    yield Finding(what="policy", state="ok", detail=f"{path}: no mistakes")
    yield from asyncio.run(_models(policy))


async def _models(policy: Policy) -> list[Finding]:
    from orchestrator.models.litellm_client import LiteLLMClient
    from orchestrator.pricing.book import PriceBook

    settings = {
        (model.name, model.origin): (model, agent.stale_price)
        for agent in (policy.everyone, *policy.agents.values())
        for pooled in agent.models.values()
        for model in pooled.endpoints
    }
    client = LiteLLMClient()
    await client.open()
    try:
        missing = [(model, client.missing_keys(model)) for model, _ in settings.values()]
    finally:
        await client.aclose()
    reached = {model.name for model, names in missing if not names}
    keys = [_key(model, names, is_reached=model.name in reached) for model, names in missing]
    book, now = PriceBook(), datetime.now(UTC)
    prices = [
        _price(
            model,
            book.quote(model.model, override=model.price, at=now, api_base=model.api_base),
            rule,
            now,
        )
        for model, rule in settings.values()
    ]
    return [*keys, *prices]


def _named(model: ModelSettings) -> str:
    return model.name if model.origin is None else f"{model.name} ({model.origin})"


def _key(model: ModelSettings, missing: tuple[str, ...], *, is_reached: bool) -> Finding:
    """Whether a key is set; one of a pool that is not is left out while another is."""
    what = f"key of {_named(model)}"
    if not missing:
        where = model.api_key_env or ("none needed" if model.api_base else "set")
        return Finding(what=what, state="ok", detail=f"{model.model}: {where}")
    names = ", ".join(missing)
    advice = "set it in the environment, or name another variable with `api_key_env`"
    return Finding(
        what=what,
        state="look" if is_reached else "wrong",
        detail=f"{model.model}: {names} is not set",
        advice=advice,
    )


def _price(
    model: ModelSettings, quote: Quote | None, rule: StalePrice | None, now: datetime
) -> Finding:
    what = f"price of {_named(model)}"
    if quote is None:
        return Finding(
            what=what,
            state="look",
            detail=f"{model.model}: unknown",
            advice="add `price:` to the model; until then `unknown_price` decides",
        )
    price, since = quote.price, f" of {quote.as_of}" if quote.as_of else ""
    detail = f"{model.model}: {price.input} in, {price.output} out ({quote.source}{since})"
    if rule is not None and rule.is_stale(quote, now):
        stale = f"{detail}, last checked on {rule.checked_on(quote)}: stale, {rule.then}"
        return Finding(what=what, state="look", detail=stale, advice=rule.advice(quote, now))
    if quote.disagreement is not None:
        advice = f"the price lists differ: {quote.disagreement}; state yours under `price:`"
        return Finding(what=what, state="look", detail=detail, advice=advice)
    return Finding(what=what, state="ok", detail=detail)
