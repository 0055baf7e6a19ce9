"""``orchestrator prices``: what a model costs, who says so, and what changed since."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from orchestrator.cli.options import JsonOption
from orchestrator.cli.output import FAILED, MISTAKEN, print_json

if TYPE_CHECKING:
    from orchestrator.models.settings import ModelSettings
    from orchestrator.pricing.price import Price
    from orchestrator.pricing.quote import Quote, Tier
    from orchestrator.pricing.staleness import StalePrice

SHOW = "show"


class _ShowUnlessNamed(TyperGroup):
    """``prices MODEL`` means ``prices show MODEL``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - the library's own copy of click
        """Put ``show`` before what names no command."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ShowUnlessNamed,
    no_args_is_help=True,
    help="Show what models cost, and who says so. `prices MODEL` is `prices show MODEL`.",
)

AtOption = Annotated[
    str | None, typer.Option(metavar="MOMENT", help="Prices of then, as 2026-11-01T12:00.")
]


@app.command(name=SHOW)
def show(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="With the provider before it: openai/gpt-5."),
    ] = None,
    *,
    policy: Annotated[
        str | None, typer.Option(metavar="PATH", help="All models of this policy.")
    ] = None,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show each price list's price of a model, its date, and where they differ.

    Exit code 1 if one of the models has no known price.
    """
    if not models and policy is None:
        message = "name a model, for example openai/gpt-5-nano, or a policy with --policy"
        raise typer.BadParameter(message, param_hint="MODEL")
    found = _look_up(models or [], policy, _moment(at))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if not all(one["prices"] for one in found["models"].values()):
        raise typer.Exit(FAILED)


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="What `prices show ... --json` printed then.")],
    *,
    at: AtOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the prices of the same models are now, where they changed.

    Run `prices show --policy PATH --json > before.json`, update the price lists, then this. Exit
    code 1 if something changed.
    """
    try:
        old: Mapping[str, Any] = json.loads(before.read_bytes())["models"]
        for one in old.values():
            dict(one["prices"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        typer.echo(f"{before} is not what `prices show --json` printed: {error!r}", err=True)
        raise typer.Exit(MISTAKEN) from error
    # A price of a region's own is the policy's, and lists know no regions.
    names = {one: one.partition(" (")[0] for one in old}
    found = _look_up([*names.values()], None, _moment(at))["models"]
    changes = list(_changes(old, {one: found[name] for one, name in names.items()}))
    if as_json:
        print_json({"changes": changes})
    elif not changes:
        typer.echo(f"No price of {len(old)} models changed.")
    for change in () if as_json else changes:
        typer.echo(
            f"{change['model']}: {change['part']} {change['before']} -> {change['now']}"
            f" ({change['source']})"
        )
    if not as_json:
        today = datetime.now(UTC).date()
        typer.echo(f"Where `stale_price` is set, `checked: {today}` says that this was looked at.")
    if changes:
        raise typer.Exit(FAILED)


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is no moment; write 2026-11-01 or 2026-11-01T12:00+01:00"
        raise typer.BadParameter(message, param_hint="--at") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _look_up(models: Sequence[str], policy: str | None, at: datetime) -> dict[str, Any]:
    from orchestrator.pricing.book import PriceBook

    asked: dict[tuple[str, str | None, Price | None], tuple[str, StalePrice | None]]
    asked = {(model, None, None): (model, None) for model in models}
    if policy is not None:
        from orchestrator.policy.load import load_policy

        rules = load_policy(policy)
        asked |= {
            (model.model, model.api_base, model.price): (_named(model, pooled), agent.stale_price)
            for agent in (rules.everyone, *rules.agents.values())
            for pooled in agent.models.values()
            for model in pooled.endpoints
        }
    book = PriceBook()
    found = {}
    for (model, api_base, price), (name, rule) in asked.items():
        quote = book.quote(model, override=price, at=at, api_base=api_base)
        lists = [one for one in book.listings(model, at=at, api_base=api_base) if one is not None]
        said = [(one.tiers, one.service_tiers) for one in lists]
        if quote is not None and price is not None:
            said.insert(0, (quote.tiers, quote.service_tiers))
        found[name] = {
            "used": quote and quote.source,
            "disagreement": quote and quote.disagreement,
            "stale": quote and rule and _stale(quote, rule, at),
            "prices": {
                tiers[0].price.source: {
                    "as_of": tiers[0].price.as_of and tiers[0].price.as_of.isoformat(),
                    "checked": tiers[0].price.checked and tiers[0].price.checked.isoformat(),
                    "usd_per_million_tokens": dict(_parts(tiers, service)),
                }
                for tiers, service in said
            },
        }
    return {"at": at.isoformat(), "models": found}


def _named(model: ModelSettings, pooled: ModelSettings) -> str:
    """A model, with its region where the price is another there."""
    same = len({one.price for one in pooled.endpoints}) == 1
    return model.model if same else f"{model.model} ({model.origin})"


def _stale(quote: Quote, rule: StalePrice, at: datetime) -> str | None:
    """What to do about a price that is too old for its policy; ``None`` if it is not."""
    if not rule.is_stale(quote, at):
        return None
    return (
        f"Last checked on {rule.checked_on(quote)}, {rule.age_days(quote, at)} days ago, which is"
        f" stale: {rule.advice(quote, at)}."
    )


def _parts(
    tiers: Sequence[Tier], service: Mapping[str, Sequence[Tier]]
) -> Iterator[tuple[str, str]]:
    from orchestrator.pricing.price import PARTS

    for name, priced in {"": tiers, **service}.items():
        for tier in priced:
            above = f" above {tier.above:,} input tokens" if tier.above else ""
            for part in PARTS:
                value = getattr(tier.price, part)
                if value is not None:
                    yield f"{name} {part}{above}".strip(), f"{value.normalize():f}"


def _print(found: Mapping[str, Any]) -> None:
    from orchestrator.cli.tables import new_table, numbers, print_table, words

    for model, one in found["models"].items():
        prices: Mapping[str, Any] = one["prices"]
        if not prices:
            typer.echo(f"{model}: no price is known; `price:` in the policy states one\n")
            continue
        headings = ["\n".join(_heading(source, said)) for source, said in prices.items()]
        table = new_table(
            [words("USD per million tokens"), *map(numbers, headings)],
            title=f"{model}, priced by {one['used'] or 'nobody'}",
        )
        columns = [said["usd_per_million_tokens"] for said in prices.values()]
        for part in dict.fromkeys(part for column in columns for part in column):
            table.add_row(part, *(column.get(part, "") for column in columns))
        print_table(table)
        for said in filter(None, (one["disagreement"], one["stale"])):
            typer.echo(said)
        typer.echo()


def _heading(source: str, said: Mapping[str, Any]) -> Iterator[str]:
    """A list, since when its price holds, and since when it lies here."""
    yield source
    if said["as_of"]:
        yield f"since {said['as_of']}"
    if said["checked"]:
        yield f"checked {said['checked']}"


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What the lists say now and said then; a list's name counts without its version."""
    for model, then in old.items():
        before, now = _by_list(then), _by_list(new[model])
        for source in dict.fromkeys([*before, *now]):
            was, is_now = before.get(source, {}), now.get(source, {})
            for part in dict.fromkeys([*was, *is_now]):
                values = was.get(part, "unknown"), is_now.get(part, "unknown")
                if values[0] != values[1]:
                    yield dict(
                        zip(
                            ("model", "source", "part", "before", "now"),
                            (model, source, part, *values),
                            strict=True,
                        )
                    )


def _by_list(one: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    return {
        source.partition(" ")[0]: said["usd_per_million_tokens"]
        for source, said in one["prices"].items()
        if source != "policy"
    }
