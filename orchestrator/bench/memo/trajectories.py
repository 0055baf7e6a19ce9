"""What a memo would have saved on recorded agent runs, by replaying them through one.

Reads tau-bench trajectories (one message per row). Every model reply is asked for with its whole
context, every read-only tool call with its arguments. A run starts from the same database, and
each writing call changes it; so its version is the chain of writes so far. A hit is checked against
what the tool really said at that point: a wrong one counts as wrong.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Literal

import orjson

from orchestrator.core.money import Money
from orchestrator.core.scope import Scope
from orchestrator.memo.ask import Ask, Hit
from orchestrator.memo.entry import Answer
from orchestrator.memo.key import tool_content
from orchestrator.memo.memo import Memo
from orchestrator.memo.memory_store import MemoryStore
from orchestrator.memo.settings import MemoSettings
from orchestrator.memo.sharing import Share

READ_ONLY = frozenset(
    {
        "calculate",
        "get_reservation_details",
        "get_user_details",
        "list_all_airports",
        "search_direct_flight",
        "search_onestop_flight",
    }
)
_SILENT = frozenset({"think", "transfer_to_human_agents"})
_DATABASE = "database"
_TENANT = "tau-bench"

Row = dict[str, str]


@dataclass(slots=True, kw_only=True)
class Savings:
    """What one way of sharing would have saved.

    Attributes:
        share: Who shares; agent, team, org and public are one here, for there is one agent.
        reads: Whether entries know the version of the database they were made from.
        replies: Model replies asked for.
        reply_hits: Those the memo would have answered.
        saved: What these cost; estimated, as the data's costs are.
        tool_calls: Read-only tool calls.
        tool_hits: Those the memo would have answered.
        wrong_tool_hits: Those whose real result was another one.
        by_tool: Hits by tool.
    """

    share: Share
    reads: bool
    replies: int = 0
    reply_hits: int = 0
    saved: Money = Money.ZERO
    tool_calls: int = 0
    tool_hits: int = 0
    wrong_tool_hits: int = 0
    by_tool: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrajectoryReport:
    """What could have been saved on recorded runs.

    Attributes:
        runs: Agent runs.
        cost: What all replies cost, by the data's estimate.
        prefix_cache_cost: What they cost with a provider's prefix cache, by the same estimate.
        savings: One for each way of sharing, with and without knowing what is read.
    """

    runs: int
    cost: Money
    prefix_cache_cost: Money
    savings: tuple[Savings, ...]

    @property
    def prefix_cache_saves(self) -> Money:
        """What a provider's prefix cache saves."""
        return self.cost - self.prefix_cache_cost


async def replay_trajectories(path: str | Path) -> TrajectoryReport:
    """Replay the recorded runs in the gzipped CSV file at ``path``.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it lacks a column.
    """
    runs = list(read_runs(Path(path)))
    rows = [row for run in runs for row in run]
    shares: tuple[Share, ...] = ("user", "team")
    savings = [
        await _replay(runs, share, reads=reads) for share in shares for reads in (True, False)
    ]
    return TrajectoryReport(
        runs=len(runs),
        cost=_sum(rows, "cost_usd"),
        prefix_cache_cost=_sum(rows, "cost_cached_usd"),
        savings=tuple(savings),
    )


def read_runs(path: Path) -> Iterator[list[Row]]:
    """The runs, in order, each a list of messages.

    Raises:
        ValueError: If a column is missing.
    """
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        wanted = {"task_id", "trial", "role", "tool_name", "tool_args", "content", "ctx_hash"}
        missing = wanted - set(reader.fieldnames or ())
        if missing:
            message = f"{path} lacks the columns {', '.join(sorted(missing))}"
            raise ValueError(message)
        for _, rows in groupby(reader, key=lambda row: (row["task_id"], row["trial"])):
            yield list(rows)


async def _replay(runs: list[list[Row]], share: Share, *, reads: bool) -> Savings:
    savings = Savings(share=share, reads=reads)
    async with Memo(MemoryStore()) as memo:
        for run in runs:
            await _replay_run(memo, run, savings)
    return savings


async def _replay_run(memo: Memo, run: list[Row], savings: Savings) -> None:
    scope = _scope_of(run)
    writes = hashlib.sha256()
    await memo.touch(_TENANT, _DATABASE, writes.hexdigest())
    calls: list[Row] = []
    for row in run:
        if row["role"] == "assistant":
            await _ask_model(memo, scope, row, savings)
            if row["tool_name"]:
                calls.append(row)
        elif row["role"] == "tool" and calls:
            call = calls.pop(0)
            name = call["tool_name"]
            if name in READ_ONLY:
                await _ask_tool(memo, scope, call, row["content"], savings)
            elif name not in _SILENT:
                writes.update(orjson.dumps([name, call["tool_args"]]))
                await memo.touch(_TENANT, _DATABASE, writes.hexdigest())


async def _ask_model(memo: Memo, scope: Scope, row: Row, savings: Savings) -> None:
    cost = _money(row["cost_usd"])
    ask = _ask(
        scope,
        "reply",
        "model",
        {"context": row["ctx_hash"]},
        MemoSettings(fresh_for_s=1e9, share=savings.share),
    )
    savings.replies += 1
    if await _hit(memo, ask, b"", cost) is not None:
        savings.reply_hits += 1
        savings.saved += cost


async def _ask_tool(memo: Memo, scope: Scope, call: Row, result: str, savings: Savings) -> None:
    # Arithmetic reads nothing.
    reads = (_DATABASE,) if savings.reads and call["tool_name"] != "calculate" else ()
    rules = MemoSettings(fresh_for_s=1e9, share=savings.share, reads=reads)
    name = call["tool_name"]
    ask = _ask(scope, name, "tool", orjson.loads(call["tool_args"] or "{}"), rules)
    savings.tool_calls += 1
    found = await _hit(memo, ask, result.encode(), Money.ZERO)
    if found is not None:
        savings.tool_hits += 1
        savings.by_tool[name] += 1
        savings.wrong_tool_hits += found != result.encode()


def _ask(
    scope: Scope,
    step: str,
    kind: Literal["model", "tool"],
    content: dict[str, object],
    rules: MemoSettings,
) -> Ask:
    return Ask(scope=scope, step=step, settings=rules, content=tool_content(content), kind=kind)


async def _hit(memo: Memo, ask: Ask, reply: bytes, cost: Money) -> bytes | None:
    """The reply the memo has; otherwise it is given the real one."""
    found = await memo.lookup(ask)
    if isinstance(found, Hit):
        return found.entry.reply
    if found.lease is not None:
        await memo.put(found.lease, Answer(reply=reply, model="", complete=True, cost=cost))
    return None


def _scope_of(run: list[Row]) -> Scope:
    """The run's scope; its user is the customer it looks up first."""
    user = next(
        (row["tool_args"] for row in run if row["tool_name"] == "get_user_details"),
        f"unknown customer of task {run[0]['task_id']}",
    )
    return Scope(
        org=_TENANT, team=_TENANT, agent="airline", task_id="replay", tenant=_TENANT, user=user
    )


def _money(usd: str) -> Money:
    return Money.from_usd_rounded_up(Decimal(usd)) if usd else Money.ZERO


def _sum(rows: list[Row], column: str) -> Money:
    return sum((_money(row[column]) for row in rows), Money.ZERO)
