"""Amounts as Stripe writes them: whole numbers of what Stripe takes for a currency's smallest unit.

Invariant: an amount is said exactly or not at all. Stripe's units differ from ISO 4217's for a few currencies, and of
those with three decimals it takes no odd last one (https://docs.stripe.com/currencies).
"""

from domain.money import exponent

_ZERO = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - a list to be read
)
_TWO = frozenset({"ISK", "UGX"})
"""Without decimals, and written with two of them for the sake of older clients; the two are always 0."""


class UnsayableAmountError(Exception):
    """Stripe has no way to write this amount."""


def _stripe_exponent(currency: str) -> int:
    return 0 if currency in _ZERO else 2 if currency in _TWO else exponent(currency)


def _unit(decimals: int) -> int:
    return int("1" + "0" * decimals)


def to_stripe(amount_minor: int, currency: str) -> int:
    """Our minor units as Stripe's; raises UnsayableAmountError."""
    said, rest = divmod(amount_minor * _unit(_stripe_exponent(currency)), _unit(exponent(currency)))
    if rest or (_stripe_exponent(currency) == 3 and said % 10):
        raise UnsayableAmountError(f"{amount_minor} minor units of {currency} are no amount at Stripe")
    return said


def from_stripe(amount: int, currency: str) -> int:
    """Stripe's units as our minor units; raises UnsayableAmountError for a fraction of ours."""
    said, rest = divmod(amount * _unit(exponent(currency)), _unit(_stripe_exponent(currency)))
    if rest:
        raise UnsayableAmountError(f"{amount} at Stripe is no whole number of minor units of {currency}")
    return said
