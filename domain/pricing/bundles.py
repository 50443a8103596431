"""Buy X, get Y: which units of which lines are discounted.

Invariant: a unit either qualifies or is discounted. There are as many sets as can be made, and of all ways to make them
the discount falls on the cheapest units; so the buyer gets what the offer says and the seller gives no more.
"""

from collections.abc import Sequence

from msgspec import Struct


class Stock(Struct, frozen=True):
    """Units of a line: how many, what they cost together now, and whether they may qualify or be discounted."""

    units: int
    worth_minor: int
    buys: bool
    gets: bool


def discounted_units(lines: Sequence[Stock], buy_quantity: int, get_quantity: int, times_max: int | None) -> list[int]:
    """How many units of each line are discounted: the cheapest that leave enough to qualify; ties to the first line."""
    only_buy, only_get, either = _count(lines)
    sets = _fitting(only_buy, only_get, either, buy_quantity, get_quantity)
    sets = sets if times_max is None else min(sets, times_max)
    taken = [0] * len(lines)
    wanted = sets * get_quantity
    if not wanted:
        return taken
    # Units that could qualify as well may be taken only as long as enough of them stay.
    spare = only_buy + either - sets * buy_quantity
    for n in sorted([n for n, line in enumerate(lines) if line.gets and line.units], key=lambda n: _Worth(lines[n], n)):
        take = min(lines[n].units, wanted)
        if lines[n].buys:
            take = min(take, spare)
            spare -= take
        taken[n] = take
        wanted -= take
        if not wanted:
            break
    return taken


def sets_of(lines: Sequence[Stock], buy_quantity: int, get_quantity: int, times_max: int | None) -> int:
    """How many sets can be made."""
    sets = _fitting(*_count(lines), buy_quantity, get_quantity)
    return sets if times_max is None else min(sets, times_max)


def _fitting(only_buy: int, only_get: int, either: int, buy_quantity: int, get_quantity: int) -> int:
    # Units that may be either go where they are needed. So many sets fit if what the others leave of each quantity, and
    # of both together, is no more than there is of these.
    return min(
        (only_buy + either) // buy_quantity,
        (only_get + either) // get_quantity,
        (only_buy + only_get + either) // (buy_quantity + get_quantity),
    )


def _count(lines: Sequence[Stock]) -> tuple[int, int, int]:
    only_buy = only_get = either = 0
    for line in lines:
        if line.buys and line.gets:
            either += line.units
        elif line.buys:
            only_buy += line.units
        elif line.gets:
            only_get += line.units
    return only_buy, only_get, either


class _Worth:
    """Orders lines by what one unit costs, exactly: two fractions are compared without dividing."""

    __slots__ = ("minor", "number", "units")

    def __init__(self, line: Stock, number: int) -> None:
        self.minor, self.units, self.number = line.worth_minor, line.units, number

    def __lt__(self, other: "_Worth") -> bool:
        ours, theirs = self.minor * other.units, other.minor * self.units
        return (ours, self.number) < (theirs, other.number)
