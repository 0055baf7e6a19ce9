"""What no single value shows: whether the merged policy makes sense as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Protocol

from orchestrator.budgets.rules import WHOLE, Threshold
from orchestrator.core.errors import PolicyProblem
from orchestrator.core.money import Money
from orchestrator.policy.amounts import NOTHING
from orchestrator.policy.currencies import budgets_of, mistakes, rates_of, worth
from orchestrator.policy.documents.budgets import BudgetDocument, TaskBudgetDocument
from orchestrator.policy.documents.models import ModelDocument
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.executed import read_tests
from orchestrator.policy.origins import origins_of, prices_in
from orchestrator.policy.resolve import stale_price
from orchestrator.policy.tree import Node, Path, dotted, is_under
from orchestrator.policy.values import choices, suggestion
from orchestrator.pricing.currency import USD, Rates, day_of
from orchestrator.pricing.price import Price
from orchestrator.pricing.quote import Quote
from orchestrator.routing.settings import AgreementCheck, Check, ExecutionCheck, JudgeCheck

STRICTEST_FIRST = MappingProxyType(
    {"unknown_price": ("refuse", "estimate", "free"), "server_errors": ("bound", "free")}
)
STALE_STRICTEST_FIRST = ("refuse", "estimate", "warn")
PRICED_BY = ("model", "price", "max_output_tokens")


class QuoteFunction(Protocol):
    """Asks a price book; :meth:`orchestrator.pricing.book.PriceBook.quote` is one."""

    def __call__(
        self, model: str, *, override: Price | None, at: datetime, api_base: str | None = None
    ) -> Quote | None:
        """The quote for ``model`` asked at ``api_base``, or ``None`` if its price is unknown."""
        ...


@dataclass(slots=True)
class CrossChecks:
    """Judges one merged tree and gathers its mistakes.

    Attributes:
        root: The merged tree.
        document: The same, read.
        damaged: Paths about which something was said already.
        own: Where it is one agent's tree: the path and the tree of its overrides, for messages.
        problems: What was found.
    """

    root: Node
    document: PolicyDocument
    damaged: set[Path]
    own: tuple[Path, Node] | None = None
    problems: list[PolicyProblem] = field(default_factory=list)
    _above_damage: set[Path] = field(init=False)
    _rates: dict[str, Rates] = field(init=False)
    _day: date = field(init=False)

    def __post_init__(self) -> None:
        """Prepare for many questions about the same damage."""
        self._above_damage = {path[:n] for path in self.damaged for n in range(len(path))}
        self._rates = rates_of(self.document)

    def against(self, upper: Node, above: PolicyDocument) -> None:
        """Find what this layer loosens: a lower layer may only tighten what holds money and time.

        Args:
            upper: The merged tree of the layers above.
            above: The same, read.
        """
        for path, is_looser, remedy in (*self._loosened(above), *self._loosened_tools(above)):
            if is_looser:
                higher = upper.nearest(path).source
                self._report(path, f"is looser than {higher} allows; {remedy}")

    def whole(self, quote: QuoteFunction, at: datetime) -> None:
        """Find what is missing, contradictory or cannot be paid.

        Args:
            quote: Where prices come from.
            at: The moment they must hold.
        """
        self._day = day_of(at)
        doubted = {
            str(path[1]) for path in self.damaged if path[:1] == ("currencies",) and path[1:]
        }
        for mistake in mistakes(self.document, self._day, doubted):
            self._report(*mistake)
        self._models()
        self._steps()
        self._lanes()
        self._budgets()
        self._resources()
        models = {
            name: model
            for name, model in self.document.models.items()
            if model.model is not None
            and {price.currency for _, price in prices_in(name, model)} <= {USD, *self._rates}
            and not any(self._is_said(("models", name, part)) for part in PRICED_BY)
        }
        quotes = {name: self._quotes(model, quote, at) for name, model in models.items()}
        dearest = {name: several[-1] if several else None for name, several in quotes.items()}
        self._prices(dearest)
        self._stale(dearest, at)
        self._affordable(
            {name: several[0] if several else None for name, several in quotes.items()}
        )
        self._judges(dearest)

    def _quotes(
        self, model: ModelDocument, quote: QuoteFunction, at: datetime
    ) -> list[Quote] | None:
        """The prices of a model, where it costs least first; ``None`` if one is not known."""
        assert model.model is not None, "a model without a name is not priced"
        quotes = [
            quote(model.model, override=one.price, at=at, api_base=one.api_base)
            for one in {
                (one.api_base, one.price): one for one in origins_of(model, self._rates)
            }.values()
        ]
        known = [one for one in quotes if one is not None]
        if len(known) < len(quotes):
            return None
        return sorted(known, key=lambda one: one.bound(0, model.max_output_tokens))

    def _loosened(self, above: PolicyDocument) -> Iterator[tuple[Path, bool, str]]:
        here = self.document
        for name in ("org", "team"):
            if name in above.model_fields_set:
                differs = getattr(here, name) != getattr(above, name)
                yield (name,), differs, "remove it here or write the same"
        for name, order in STRICTEST_FIRST.items():
            if name in above.model_fields_set:
                allowed = order.index(getattr(above, name))
                looser = order.index(getattr(here, name)) > allowed
                yield (name,), looser, f"write `{order[allowed]}` or remove it"
        ours, theirs = here.stale_price, above.stale_price
        if theirs is not None and theirs.after is not None:
            later = ours is None or ours.after is None or ours.after > theirs.after
            yield ("stale_price", "after"), later, "lower it or remove it"
            order = STALE_STRICTEST_FIRST
            looser = ours is not None and order.index(ours.then) > order.index(theirs.then)
            yield ("stale_price", "then"), looser, f"write `{theirs.then}` or remove it"
        for name in above.limits.model_fields_set:
            bound, value = getattr(above.limits, name), getattr(here.limits, name)
            yield ("limits", name), value > bound, "lower it or remove it"
        for currency, rates in above.currencies.items():
            differs = here.currencies[currency] != rates
            yield ("currencies", currency), differs, "rates are the same for all; remove it"
        if "stale_rate" in above.model_fields_set:
            remedy = "lower it or remove it"
            yield ("stale_rate",), here.stale_rate > above.stale_rate, remedy
        yield from self._loosened_budgets(above)

    def _loosened_budgets(self, above: PolicyDocument) -> Iterator[tuple[Path, bool, str]]:
        uppers = dict(budgets_of(above))
        for path, lower in budgets_of(self.document):
            upper = uppers.get(path)
            if upper is None:
                continue
            if upper.limit is not None and lower.limit is not None:
                currency = upper.limit.currency
                if lower.limit.currency != currency:
                    remedy = f"write it in {currency}: rates change, and with them what is more"
                    yield (*path, "limit"), True, remedy
                looser = lower.limit.number > upper.limit.number
                yield (*path, "limit"), looser, "lower it or remove it"
            halts = _halts_at(lower) > _halts_at(upper)
            yield (*path, "at"), halts and lower.limit == upper.limit, "halt no later"
            for name in ("per", "timezone", "rate_of"):
                if not isinstance(lower, TaskBudgetDocument):
                    differs = getattr(lower, name) != getattr(upper, name)
                    yield (*path, name), differs, "another window is another budget; remove it"

    def _loosened_tools(self, above: PolicyDocument) -> Iterator[tuple[Path, bool, str]]:
        for tool, upper in above.tools.items():
            for name in upper.model_fields_set & {"limit", "timeout"}:
                bound, value = getattr(upper, name), getattr(self.document.tools[tool], name)
                yield ("tools", tool, name), value > bound, "lower it or remove it"

    def _models(self) -> None:
        models = self.document.models
        if not models:
            example = "models: {small: {model: openai/gpt-5-nano}}"
            self._report(("models",), f"no model is named; write for example `{example}`")
        for name, model in models.items():
            path: Path = ("models", name)
            if model.model is None:
                self._report(path, "lacks `model`; write `model: openai/gpt-5-nano`")
            if model.region and model.regions:
                self._report((*path, "region"), "`regions` says where already; move it there")
            for stated, price in prices_in(name, model):
                for part in ("input", "output"):
                    if getattr(price, part) is None:
                        message = f"lacks `{part}`; write USD per million tokens, `{part}: 0.10`"
                        self._report(stated, message)

    def _steps(self) -> None:
        for name, step in self.document.steps.items():
            for index, model in enumerate(step.models):
                self._is_model(model, ("steps", name, "models", index))
            for index, check in enumerate(step.checks):
                self._check(check, name, index)
            self._lane(name, step.lane)
            if step.memo is not None and step.memo.fresh_for is None:
                message = "lacks `fresh_for`; write `fresh_for: 1h`, or `memo: off`"
                self._report(("steps", name, "memo"), message)

    def _is_model(self, model: str, path: Path) -> None:
        mistaken = [str(path[1]) for path in self.damaged if path[:1] == ("models",) and path[1:]]
        known = [*self.document.models, *mistaken]
        if model not in known and known:
            hint = suggestion(model, known) or f"; write one of {choices(known)}"
            self._report(path, f"there is no model `{model}`{hint}")

    def _lane(self, step: str, lane: str | None) -> None:
        lanes = self.document.lanes
        if lane is not None and lane not in lanes and not self._is_said(("lanes", lane)):
            hint = suggestion(lane, lanes) or (
                f"; write one of {choices(lanes)}"
                if lanes
                else f"; name it, as in `lanes: {{{lane}: {{concurrency: 2}}}}`"
            )
            self._report(("steps", step, "lane"), f"there is no lane `{lane}`{hint}")

    def _lanes(self) -> None:
        for name, lane in self.document.lanes.items():
            if lane.concurrency is None:
                self._report(("lanes", name), "lacks `concurrency`; write `concurrency: 2`")
        providers = {str(one.model).partition("/")[0] for one in self.document.models.values()}
        for name in self.document.rates:
            if name not in providers:
                hint = suggestion(name, providers) or f"; write one of {choices(sorted(providers))}"
                self._report(("rates", name), f"no model is of the provider `{name}`{hint}")

    def _check(self, check: str | Check, step: str, index: int) -> None:
        path: Path = ("steps", step, "checks", index)
        if isinstance(check, AgreementCheck | JudgeCheck) and check.model is not None:
            self._is_model(check.model, path)
        if isinstance(check, ExecutionCheck):
            try:
                read_tests(self.root, step, index, check.file)
            except ValueError as error:
                self._report(path, str(error))

    def _judges(self, quotes: Mapping[str, Quote | None]) -> None:
        """A judge whose budget pays no judgement would never be asked."""
        for name, step in self.document.steps.items():
            for index, check in enumerate(step.checks):
                if isinstance(check, JudgeCheck) and (quote := quotes.get(check.model)):
                    tokens = self.document.models[check.model].max_output_tokens
                    bound = quote.bound(0, tokens)
                    if check.budget < bound:
                        message = (
                            f"`budget` of `judge` ({check.budget}) does not pay one judgement:"
                            f" `{check.model}` can cost {bound} with {tokens} output tokens; raise"
                            " it or lower `max_output_tokens`"
                        )
                        self._report(("steps", name, "checks", index), message)

    def _resources(self) -> None:
        for name, resource in self.document.resources.items():
            parts = [
                part for part in ("price", "flat", "over") if getattr(resource, part) is not None
            ]
            if parts not in (["price"], ["flat", "over"]):
                message = (
                    "needs `price`, or `flat` and `over`; write `0.00001 USD` or "
                    "`{flat: 3000 USD, over: 2M}`"
                )
                self._report(("resources", name), message)

    def _budgets(self) -> None:
        memo = self.document.memo
        if memo is not None and memo.sample and memo.upkeep is None:
            message = "asks anew what `memo.upkeep` pays; add `upkeep: {limit: 0.50 USD, per: day}`"
            self._report(("memo", "sample"), message)
        audits = self.document.audits
        if audits is not None and audits.rate and audits.budget is None:
            message = "audits what `audits.budget` pays; add `budget: {limit: 1 USD, per: month}`"
            self._report(("audits", "rate"), message)
        for path, budget in budgets_of(self.document):
            if budget.limit is None:
                self._report(path, "lacks `limit`; write `limit: 0.25 USD`")
            elif (known := self._worth(budget)) is not None and known[1] >= known[0]:
                message = f"must be below the limit ({known[0]}), or no step could ever start"
                self._report((*path, "finish_reserve"), f"{message}; lower it")

    def _prices(self, quotes: Mapping[str, Quote | None]) -> None:
        if self.document.unknown_price != "refuse" or not any(budgets_of(self.document)):
            return
        for name, quote in quotes.items():
            if quote is None:
                model = self.document.models[name].model
                message = (
                    f"no price is known for `{model}`, so no budget can hold; add"
                    " `price: {input: 0.10, output: 0.40}` (your provider's USD per million"
                    " tokens), or set `unknown_price: estimate`"
                )
                self._report(("models", name, "model"), message)

    def _stale(self, quotes: Mapping[str, Quote | None], at: datetime) -> None:
        if self.document.stale_price is not None and self.document.stale_price.after is None:
            self._report(("stale_price",), "lacks `after`; write `stale_price: {after: 90d}`")
        rule = stale_price(self.document)
        if rule is None or rule.then != "refuse":
            return
        for name, quote in quotes.items():
            if quote is not None and rule.is_stale(quote, at):
                message = (
                    f"the price of `{self.document.models[name].model}` ({quote.source}) was last"
                    f" checked {rule.age_days(quote, at)} days ago, longer than `stale_price`"
                    f" allows: {rule.advice(quote, at)}; or set `then: estimate`"
                )
                self._report(("models", name, "model"), message)

    def _affordable(self, quotes: Mapping[str, Quote | None]) -> None:
        """A budget below one call of the cheapest candidate would halt every task at once."""
        groups = {"": tuple(self.document.models)}
        groups |= {name: step.models for name, step in self.document.steps.items() if step.models}
        for path, budget in budgets_of(self.document):
            known = self._worth(budget)
            if known is None or known[1] >= known[0]:
                continue  # said elsewhere
            serves, reserve = known
            for step, candidates in groups.items():
                bound, model = self._cheapest(candidates, quotes)
                if serves - reserve < bound:
                    tokens = self.document.models[model].max_output_tokens
                    left = f" less its finish_reserve ({reserve})" if reserve else ""
                    where = f" of step `{step}`" if step else ""
                    message = (
                        f"{budget.limit}{left} does not pay one call of the cheapest model"
                        f"{where}: `{model}` can cost {bound} with {tokens} output tokens; raise"
                        " the limit or lower `max_output_tokens`"
                    )
                    self._report((*path, "limit"), message)
                    break

    def _worth(self, budget: BudgetDocument | TaskBudgetDocument) -> tuple[Money, Money] | None:
        """What may be spent of a budget, and what of it is kept for the end; ``None``: unknown."""
        if budget.limit is None:
            return None
        limit = worth(budget.limit, self._rates, self._day)
        kept = worth(getattr(budget, "finish_reserve", NOTHING), self._rates, self._day)
        if limit is None or kept is None:
            return None
        return Threshold(_halts_at(budget), "halt").of(limit), kept

    def _cheapest(
        self, candidates: tuple[str, ...], quotes: Mapping[str, Quote | None]
    ) -> tuple[Money, str]:
        """What a call of the cheapest candidate can cost; zero if that cannot be told."""
        bounds: list[tuple[Money, str]] = []
        for name in candidates:
            quote = quotes.get(name)
            if quote is not None:
                tokens = self.document.models[name].max_output_tokens
                bounds.append((quote.bound(0, tokens), name))
            elif name not in quotes or self.document.unknown_price != "refuse":
                return Money.ZERO, name  # it may be the cheapest
        return min(bounds, default=(Money.ZERO, ""))

    def _is_said(self, path: Path) -> bool:
        """Whether something at ``path``, above or below it is mistaken."""
        return path in self._above_damage or is_under(path, self.damaged)

    def _report(self, path: Path, message: str) -> None:
        """Note a mistake, unless one at the same place explains it."""
        if self._is_said(path):
            return
        source = self.root.nearest(path).source
        if self.own is not None:
            prefix, overrides = self.own
            here = overrides.nearest(path)
            if here is not overrides and here.source == source:
                path = (*prefix, *path)
        self.problems.append(PolicyProblem(source.file, source.line, dotted(path), message))


def _halts_at(budget: BudgetDocument | TaskBudgetDocument) -> int:
    """The share at which it halts, in hundredths of a percent."""
    return min((one.share for one in budget.at if one.action == "halt"), default=WHOLE)
