"""Money: integer minor units of one currency.

Invariant: amounts are integers, rounded half up once, and a split amount always sums to the whole. Floats
never appear; a rate is in basis points (1/100 of a percent).
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct

MINOR_MAX = 10**15
"""Ten trillion units of a two-digit currency: far above any order, far below 2**63."""

BASIS_POINTS = 10_000

Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$", max_length=3, description="ISO 4217 code")]
Minor = Annotated[int, Meta(ge=0, le=MINOR_MAX, description="minor units of the currency")]

# ISO 4217 currencies whose minor unit isn't a hundredth.
_EXPONENTS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


class Money(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount in minor units (cents, fils, whole yen) of an ISO 4217 currency."""

    amount: Minor
    currency: Currency


def exponent(currency: str) -> int:
    """How many decimal digits the currency's major unit has: USD 2, JPY 0, KWD 3."""
    return _EXPONENTS.get(currency, 2)


def in_major(amount: int, currency: str) -> str:
    """Write minor units as a decimal of the major unit, as files of accountants have it: ``-0.05``, ``1200``."""
    digits = exponent(currency)
    whole, part = divmod(abs(amount), 10**digits)
    text = f"{whole}.{part:0{digits}}" if digits else str(whole)
    return f"-{text}" if amount < 0 else text


def written(amount: int, currency: str) -> str:
    """Minor units as people read them: ``19.99 USD``, ``1999 JPY``."""
    return f"{in_major(amount, currency)} {currency}"


def round_half_up(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, halves away from zero."""
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    if numerator < 0:
        return -((-2 * numerator + denominator) // (2 * denominator))
    return (2 * numerator + denominator) // (2 * denominator)


def share(amount: int, basis_points: int) -> int:
    """A rate's part of an amount: minor units in, minor units out."""
    return round_half_up(amount * basis_points, BASIS_POINTS)


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount in proportion to weights by largest remainder, ties to the lowest index.

    The parts sum to ``amount`` exactly. Without any positive weight, only 0 can be split.
    """
    if amount < 0 or any(weight < 0 for weight in weights):
        raise ValueError("amount and weights must not be negative")
    total = sum(weights)
    if total == 0:
        if amount:
            raise ValueError("an amount can't be split over no weight")
        return [0] * len(weights)
    parts = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts
