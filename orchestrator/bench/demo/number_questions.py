"""Templates of questions that take sums. Each draws its numbers; a level makes them larger."""

from __future__ import annotations

from orchestrator.bench.demo.draws import Draws
from orchestrator.bench.demo.question import Draft, Working, show


def shopping(draws: Draws, level: int) -> Draft:
    """Two products, added; from level 2 on with something taken away."""
    boxes, pencils = draws.integer(3, 9 + 5 * level), draws.integer(6, 12 + 9 * level)
    packs, pens = draws.integer(3, 9 + 5 * level), draws.integer(5, 12 + 9 * level)
    broken = draws.integer(2, 9) if level > 1 else 0
    loss = f" {broken} of all of them turn out to be broken." if broken else ""

    def right(work: Working) -> str:
        first = work.sum("Pencils", boxes, "*", pencils)
        second = work.sum("Pens", packs, "*", pens)
        total = work.sum("Together", first, "+", second)
        return show(work.sum("Left", total, "-", broken) if broken else total)

    def wrong(work: Working) -> str:
        first = work.sum("Pencils", boxes, "*", pencils)
        total = work.sum("With the pens", first, "+", pens)
        return show(work.sum("Left", total, "-", broken) if broken else total)

    return Draft(
        f"A school buys {boxes} boxes with {pencils} pencils each and {packs} packs with {pens} "
        f"pens each.{loss} How many pencils and pens can it use?",
        ("Count the pencils.", "Count the pens.", "Add both and leave out what is broken."),
        right,
        wrong,
    )


def travel(draws: Draws, level: int) -> Draft:
    """A way in two parts at two speeds."""
    slow, first = draws.integer(40, 70 + 10 * level), draws.integer(2, 4 + level)
    fast, second = slow + draws.integer(15, 60), first + draws.integer(1, 4)

    def right(work: Working) -> str:
        one = work.sum("First part", slow, "*", first)
        two = work.sum("Second part", fast, "*", second)
        return show(work.sum("Whole way", one, "+", two))

    def wrong(work: Working) -> str:
        speeds = work.sum("Both speeds", slow, "+", fast)
        mean = work.sum("Mean speed", speeds, "/", 2)
        hours = work.sum("Hours", first, "+", second)
        return show(work.sum("Whole way", mean, "*", hours))

    return Draft(
        f"A train runs at {slow} km/h for {first} hours and then at {fast} km/h for {second} "
        "hours. How many kilometres does it cover in all?",
        ("Work out the first part.", "Work out the second part.", "Add the two."),
        right,
        wrong,
    )


def discount(draws: Draws, level: int) -> Draft:
    """A share of a price off, then a fixed amount."""
    price = 20 * draws.integer(4, 10 + 12 * level)
    percent = 5 * draws.integer(2, 8)
    voucher = draws.integer(3, 15)

    def right(work: Working) -> str:
        off = work.sum("Reduction", price * percent, "/", 100)
        reduced = work.sum("Reduced price", price, "-", off)
        return show(work.sum("With the voucher", reduced, "-", voucher))

    def wrong(work: Working) -> str:
        first = work.sum("With the voucher", price, "-", voucher)
        off = work.sum("Reduction", first * percent, "/", 100)
        return show(work.sum("To pay", first, "-", off))

    return Draft(
        f"A coat costs ${price}. The shop first reduces it by {percent}%, and then a voucher takes "
        f"another ${voucher} off. How many dollars are to pay?",
        ("Work out the reduction.", "Subtract it from the price.", "Subtract the voucher."),
        right,
        wrong,
    )


def sharing(draws: Draws, level: int) -> Draft:
    """A whole, less what is kept back, divided."""
    children, each = draws.integer(4, 8 + 3 * level), draws.integer(6, 12 + 6 * level)
    bags = draws.integer(3, 7)
    kept = bags - children * each % bags
    kept += bags if kept == 1 else 0
    size = (children * each + kept) // bags

    def right(work: Working) -> str:
        total = work.sum("Sweets", bags, "*", size)
        rest = work.sum("To share", total, "-", kept)
        return show(work.sum("For each child", rest, "/", children))

    def wrong(work: Working) -> str:
        total = work.sum("Sweets", bags, "*", size)
        share = work.sum("For each child", total, "/", children)
        return show(work.sum("Without the ones kept back", share, "-", kept))

    return Draft(
        f"{bags} bags hold {size} sweets each. {kept} sweets are kept back, and {children} "
        "children share the rest equally. How many sweets does each child get?",
        ("Count all sweets.", "Leave out those kept back.", "Divide by the children."),
        right,
        wrong,
    )


def machines(draws: Draws, level: int) -> Draft:
    """A rate per machine and hour, applied to other numbers of both."""
    count, hours = draws.integer(2, 4 + level), draws.integer(2, 4 + level)
    rate = draws.integer(7, 15 + 8 * level)
    others, longer = count + draws.integer(2, 6), hours + draws.integer(1, 5)
    parts = count * hours * rate

    def right(work: Working) -> str:
        one = work.sum("One machine", parts, "/", count)
        hourly = work.sum("One machine in one hour", one, "/", hours)
        all_hourly = work.sum(f"{others} machines in one hour", hourly, "*", others)
        return show(work.sum(f"In {longer} hours", all_hourly, "*", longer))

    def wrong(work: Working) -> str:
        one = work.sum("One machine", parts, "/", count)
        several = work.sum(f"{others} machines", one, "*", others)
        return show(work.sum(f"In {longer} hours", several, "*", longer))

    return Draft(
        f"{count} machines make {parts} parts in {hours} hours. How many parts do {others} such "
        f"machines make in {longer} hours?",
        (
            "Find what one machine makes in one hour.",
            "Scale to all machines.",
            "Scale to the time.",
        ),
        right,
        wrong,
    )


def fence(draws: Draws, level: int) -> Draft:
    """A perimeter with a gap, at a price per metre."""
    length, width = draws.integer(12, 30 + 20 * level), draws.integer(6, 11 + 10 * level)
    gate, price = draws.integer(2, 5), draws.integer(4, 9 + 4 * level)

    def right(work: Working) -> str:
        half = work.sum("Length and width", length, "+", width)
        around = work.sum("Way around", half, "*", 2)
        fenced = work.sum("Fence", around, "-", gate)
        return show(work.sum("Cost", fenced, "*", price))

    def wrong(work: Working) -> str:
        half = work.sum("Length and width", length, "+", width)
        fenced = work.sum("Fence", half, "-", gate)
        return show(work.sum("Cost", fenced, "*", price))

    return Draft(
        f"A garden is {length} m long and {width} m wide. A fence goes all around it except at a "
        f"gate of {gate} m. One metre of fence costs ${price}. How many dollars does it all cost?",
        ("Work out the way around.", "Leave out the gate.", "Multiply by the price."),
        right,
        wrong,
    )


def rope(draws: Draws, level: int) -> Draft:
    """Metres and centimetres, divided."""
    pieces, each = draws.integer(3, 6 + 3 * level), draws.integer(41, 60 + 45 * level)
    metres, rest = divmod(pieces * each, 100)

    def solve(work: Working, factor: int) -> str:
        whole = work.sum("Metres in centimetres", metres, "*", factor)
        total = work.sum("All centimetres", whole, "+", rest)
        return show(work.sum("One piece", total, "/", pieces))

    return Draft(
        f"A rope of {metres} m and {rest} cm is cut into {pieces} equal pieces. How many "
        "centimetres long is one piece?",
        ("Turn metres into centimetres.", "Add the rest.", "Divide by the pieces."),
        lambda work: solve(work, 100),
        lambda work: solve(work, 10),
    )
