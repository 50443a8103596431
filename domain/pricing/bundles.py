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


def sets_of(lines: Sequence[Stock], buy_quantity: int, get_quantity: int, times_max: int | None) -> int:
    """How many sets can be made.

    Units that may be either go where they are needed: for t sets, what the units that may only be one thing don't
    cover. More sets need more of both, so halving finds the most.
    """
    only_buy, only_get, either = _count(lines)

    def fits(sets: int) -> bool:
        return max(0, sets * buy_quantity - only_buy) + max(0, sets * get_quantity - only_get) <= either

    low, high = 0, (only_buy + only_get + either) // (buy_quantity + get_quantity)
    if times_max is not None:
        high = min(high, times_max)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def discounted_units(lines: Sequence[Stock], buy_quantity: int, get_quantity: int, times_max: int | None) -> list[int]:
    """How many units of each line are discounted: the cheapest that leave enough to qualify; ties to the first line."""
    sets = sets_of(lines, buy_quantity, get_quantity, times_max)
    only_buy, _, either = _count(lines)
    wanted = sets * get_quantity
    # Units that could qualify as well may be taken only as long as enough of them stay.
    spare = only_buy + either - sets * buy_quantity
    taken = [0] * len(lines)
    for n in sorted((n for n, line in enumerate(lines) if line.gets and line.units), key=lambda n: _Worth(lines[n], n)):
        take = min(lines[n].units, wanted)
        if lines[n].buys:
            take = min(take, spare)
            spare -= take
        taken[n] = take
        wanted -= take
        if not wanted:
            break
    return taken


def _count(lines: Sequence[Stock]) -> tuple[int, int, int]:
    only_buy = sum(line.units for line in lines if line.buys and not line.gets)
    only_get = sum(line.units for line in lines if line.gets and not line.buys)
    return only_buy, only_get, sum(line.units for line in lines if line.buys and line.gets)


class _Worth:
    """Orders lines by what one unit costs, exactly: two fractions are compared without dividing."""

    __slots__ = ("minor", "number", "units")

    def __init__(self, line: Stock, number: int) -> None:
        self.minor, self.units, self.number = line.worth_minor, line.units, number

    def __lt__(self, other: "_Worth") -> bool:
        ours, theirs = self.minor * other.units, other.minor * self.units
        return (ours, self.number) < (theirs, other.number)
