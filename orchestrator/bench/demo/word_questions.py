"""Templates of questions about dates, order, words and texts: hardly any sums in them."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

from orchestrator.bench.demo.draws import Draws
from orchestrator.bench.demo.question import Draft, Working, show

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NAMES = ("Ana", "Bela", "Chidi", "Dana", "Emil", "Farah", "Goran", "Hana")
_WORDS = (
    *("lantern", "copper", "meadow", "signal", "harbor", "pepper", "window", "basket"),
    *("river", "candle", "planet", "button", "garden", "mirror", "thunder", "velvet"),
)
_RANKS = ("second", "third", "fourth", "fifth", "sixth")
_FIRMS = ("Lund & Sons", "Orchard Supply", "Kestrel Tools", "Bright Harbor", "Nordlys")
_GOODS = ("desk lamps", "filing boxes", "office chairs", "label rolls", "wall clocks")


def weekday(draws: Draws, level: int) -> Draft:
    """The day of the week after a number of days."""
    today, days = draws.integer(0, 6), draws.integer(9, 20 + 60 * level)
    weeks, rest = divmod(days, 7)

    def solve(work: Working, shift: int) -> str:
        work.note(f"{days} days are {weeks} whole weeks and {rest} more days.")
        work.note(f"Whole weeks change nothing, so count on from {_DAYS[today]}.")
        return _DAYS[(today + rest + shift) % 7]

    return Draft(
        f"Today is {_DAYS[today]}. Which day of the week is it in {days} days?",
        ("Take out whole weeks.", "Count the remaining days on from today."),
        lambda work: solve(work, 0),
        lambda work: solve(work, -1),
    )


def days_between(draws: Draws, level: int) -> Draft:
    """The number of days from one date to another in a common year."""
    begin = date(2023, draws.integer(1, 4), draws.integer(2, 27))
    end = date(2023, begin.month + 2 + level, draws.integer(2, 27))

    lengths = [_last_day(month) for month in range(begin.month, end.month)]

    def solve(work: Working, *, skips_begin: bool) -> str:
        total: Fraction | int = lengths[0]
        if skips_begin:
            total = work.sum(f"Rest of {_MONTHS[begin.month - 1]}", lengths[0], "-", begin.day)
        for name, length in zip(_MONTHS[begin.month :], lengths[1:], strict=False):
            total = work.sum(f"To the end of {name}", total, "+", length)
        return show(work.sum(f"Into {_MONTHS[end.month - 1]}", total, "+", end.day))

    return Draft(
        f"How many days after {begin.day} {_MONTHS[begin.month - 1]} 2023 is {end.day} "
        f"{_MONTHS[end.month - 1]} 2023?",
        ("Take the rest of the first month.", "Add the months between.", "Add the last days."),
        lambda work: solve(work, skips_begin=True),
        lambda work: solve(work, skips_begin=False),
    )


def film(draws: Draws, level: int) -> Draft:
    """A time of day plus a number of minutes."""
    start = 60 * draws.integer(15, 19) + 5 * draws.integer(1, 11)
    minutes = 5 * draws.integer(21, 26 + 4 * level)
    hours, rest = divmod(minutes, 60)

    def right(work: Working) -> str:
        work.note(f"{minutes} minutes are {hours} h {rest} min.")
        work.note(f"Count that on from {_clock(start)}.")
        return _clock(start + minutes)

    def wrong(work: Working) -> str:
        work.note(f"{minutes} minutes are {minutes // 100} h {minutes % 100} min.")
        work.note(f"Count that on from {_clock(start)}.")
        return _clock(start + minutes // 100 * 60 + minutes % 100)

    return Draft(
        f"A film begins at {_clock(start)} and lasts {minutes} minutes. When does it end, as "
        "HH:MM on a 24-hour clock?",
        ("Turn minutes into hours and minutes.", "Add them to the beginning."),
        right,
        wrong,
    )


def rank(draws: Draws, level: int) -> Draft:
    """The k-th largest of some numbers."""
    numbers = draws.sample(range(11, 99 + 400 * level), 6 + level)
    place = draws.integer(1, min(3 + level, len(_RANKS))) - 1
    ordered = sorted(numbers, reverse=True)

    def solve(work: Working, found: list[int]) -> str:
        work.note(f"In order: {', '.join(map(str, found))}.")
        return str(found[place + 1])

    return Draft(
        f"Which is the {_RANKS[place]} largest of these numbers: {', '.join(map(str, numbers))}?",
        ("Sort the numbers, largest first.", f"Take the {_RANKS[place]} of them."),
        lambda work: solve(work, ordered),
        # Two neighbours stand the wrong way round.
        lambda work: solve(
            work,
            [*ordered[:place], *reversed(ordered[place : place + 2]), *ordered[place + 2 :]],
        ),
    )


def letters(draws: Draws, level: int) -> Draft:
    """How many words contain a letter."""
    letter = draws.pick("aenr")
    having = [word for word in _WORDS if letter in word]
    words = draws.sample(having, 2 + min(level, 3))
    words += draws.sample([word for word in _WORDS if letter not in word], 2 + min(level, 2))
    words = draws.sample(words, len(words))
    counted = [word for word in words if letter in word]

    def solve(work: Working, found: list[str]) -> str:
        work.note(f"With the letter {letter!r}: {', '.join(found)}.")
        return str(len(found))

    return Draft(
        f"How many of these words contain the letter {letter!r}: {', '.join(words)}?",
        ("Go through the words one by one.", "Count those with the letter."),
        lambda work: solve(work, counted),
        lambda work: solve(work, counted[:-1]),
    )


def heights(draws: Draws, level: int) -> Draft:
    """An order that follows from comparisons."""
    names = draws.sample(_NAMES, min(3 + level, len(_NAMES)))
    facts = [f"{high} is taller than {low}" for high, low in pairwise(names)]
    place = draws.integer(0, len(names) - 2)

    def solve(work: Working, index: int) -> str:
        work.note(f"From tallest to shortest: {', '.join(names)}.")
        work.note(f"Number {place + 2} in that row is asked for.")
        return names[index]

    return Draft(
        f"{'. '.join(draws.sample(facts, len(facts)))}. Who is number {place + 2} if they stand in "
        "a row from the tallest to the shortest?",
        ("Put all of them in one order.", "Count from the tallest."),
        lambda work: solve(work, place + 1),
        lambda work: solve(work, place),
    )


def invoice(draws: Draws, level: int) -> Draft:
    """One detail out of a message that holds several."""
    order, customer = draws.integer(10_000, 99_999), draws.integer(1_000, 9_999)
    count, cents = draws.integer(3, 48), draws.integer(5_000, 90_000)
    day, month = draws.integer(1, 28), draws.pick(_MONTHS)
    details = [
        ("order number", str(order)),
        ("customer number", str(customer)),
        ("number of pieces", str(count)),
        ("total in euros", f"{cents // 100}.{cents % 100:02}"),
        ("delivery date, as day and month", f"{day} {month}"),
    ]
    asked = draws.integer(0, len(details) - 1)
    (what, value), (_, other) = details[asked], details[(asked + 1) % len(details)]
    closing = " Please quote reference 2210 in all letters." if level > 1 else ""

    def solve(work: Working, found: str) -> str:
        work.note(f"The message gives the {what} as {found}.")
        return found

    return Draft(
        f"A message reads: 'Dear customer {customer}, thank you for order {order} of {count} "
        f"{draws.pick(_GOODS)} from {draws.pick(_FIRMS)}. They will arrive on {day} {month}; the "
        f"total is EUR {cents // 100}.{cents % 100:02}.{closing}' What is the {what}?",
        ("Find the detail that is asked for.", "Copy it as it stands."),
        lambda work: solve(work, value),
        lambda work: solve(work, other),
    )


def _last_day(month: int) -> int:
    return (date(2023, month + 1, 1) - timedelta(days=1)).day


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"
