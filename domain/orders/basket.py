"""From a request to what is priced: an order's lines at today's prices, or a placed one's as it was frozen.

Invariant: placing and quoting build the same basket from the same request, so they come to the same price.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from domain.accounts.address_model import PostalAddress
from domain.catalog.model import Offer, OfferKey
from domain.orders.model import PlaceOrder
from domain.pricing.book import Book, empty_book
from domain.pricing.codes import code_key
from domain.pricing.contest import CodeGiven, FoundCode, Usage, no_usage
from domain.pricing.promotions import Live
from domain.pricing.quote import Explained, QuoteLine, QuoteOrder
from domain.pricing.scope import Facts, bits_of
from domain.pricing.tax import Destination
from domain.pricing.uses import UseKey, counters_of
from domain.rejections import Code, Rejection


class Pricing(Struct, frozen=True):
    """What prices a batch of orders: the rules, what was used of them, and what the requests name.

    ``codes`` has the known ones by key, ``groups`` the buyers who are in one, ``addresses`` those of their owners.
    """

    book: Book
    usage: Usage
    codes: Mapping[str, FoundCode]
    groups: Mapping[UUID, str]
    addresses: Mapping[tuple[UUID, UUID], PostalAddress]
    """(owner, address id) -> the address"""
    counters: Mapping[UseKey, tuple[int, int]]
    """How often limited promotions were used, and may be."""


def no_pricing() -> Pricing:
    """A marketplace without rules: orders cost what their offers say."""
    return Pricing(empty_book(), no_usage(), {}, {}, {}, {})


def code_keys(commands: Iterable[PlaceOrder]) -> list[str]:
    """The codes that some orders give, each once."""
    return sorted({code_key(text) for command in commands for text in command.codes})


def facts_of(offer: Offer) -> Facts:
    """What rules look at in an offer."""
    return Facts(offer.product_id, offer.variant_id, offer.seller_id, offer.categories)


def address_of(command: PlaceOrder, buyer: UUID, pricing: Pricing) -> PostalAddress | Rejection | None:
    """Where an order goes; None where it doesn't say."""
    if command.shipping_address_id is None:
        return command.shipping_address
    found = pricing.addresses.get((buyer, command.shipping_address_id))
    if found is None:
        detail = "there is no such address of yours"
        return Rejection(422, Code.UNKNOWN_ADDRESS, detail, "shipping_address_id")
    return found


def unit_price(offer: Offer, command: PlaceOrder, buyer: UUID, pricing: Pricing, now: datetime) -> int | None:
    """What a unit of an offer costs a buyer, by a price list or by the offer; None if it isn't sold in the currency."""
    listed = pricing.book.price_lists.price(
        (offer.variant_id, offer.seller_id), command.currency, pricing.groups.get(buyer), now
    )
    if listed is not None:
        return listed
    return offer.price_minor if offer.currency == command.currency else None


def basket_of(
    command: PlaceOrder,
    buyer: UUID,
    lines: Sequence[tuple[Offer, int, int]],
    address: PostalAddress | None,
    codes: Mapping[str, FoundCode],
) -> QuoteOrder:
    """What is priced; ``lines`` are (offer, quantity, unit price)."""
    return QuoteOrder(
        buyer=buyer,
        currency=command.currency,
        lines=[QuoteLine(facts_of(offer), quantity, price, offer.weight_grams) for offer, quantity, price in lines],
        codes=codes_given(command.codes, codes),
        destination=None if address is None else Destination(address.country, address.region),
        methods=command.shipping_methods,
    )


def codes_given(texts: Sequence[str], known: Mapping[str, FoundCode]) -> list[CodeGiven]:
    """Codes as they were given, with what they bring."""
    given: list[CodeGiven] = []
    for text in texts:
        key = code_key(text)
        found = known.get(key)
        promotion, state = (None, None) if found is None else (found.promotion_id, found.state)
        given.append(CodeGiven(text, key, promotion, state))
    return given


def refuse_codes(codes: Sequence[str], refused: Sequence[Explained]) -> Rejection | None:
    """Refuse an order for codes that were given in vain."""
    if not refused:
        return None
    first = refused[0]
    reasons = ", ".join(f"{each.code}: {each.reason}" for each in refused)
    status = 422 if first.promotion_id is None else 409
    return Rejection(status, Code.CODE_REFUSED, reasons, f"codes[{list(codes).index(first.code or '')}]")


def limited_of_orders(
    orders: Iterable[tuple[UUID, PlaceOrder]],
    offers: Mapping[OfferKey, Offer],
    book: Book,
    codes: Mapping[str, FoundCode],
) -> dict[UUID, list[Live]]:
    """The promotions with a limit that may apply to some orders, by buyer: whose uses are to be known."""
    found: dict[UUID, dict[UUID, Live]] = {}
    for buyer, command in orders:
        known = (offers.get((line.variant_id, line.seller_id)) for line in command.lines)
        facts = (facts_of(offer) for offer in known if offer is not None)
        lives = limited_of(facts, codes_given(command.codes, codes), book)
        if lives:
            found.setdefault(buyer, {}).update((live.promotion.id, live) for live in lives)
    return {buyer: list(lives.values()) for buyer, lives in found.items()}


def limited_of(facts: Iterable[Facts], codes: Iterable[CodeGiven], book: Book) -> list[Live]:
    """The promotions with a limit that may apply to some lines with some codes."""
    automatic = book.promotions.limited & book.promotions.automatic
    lives = {live.promotion.id: live for live in _covering(book, facts, automatic)} if automatic else {}
    for given in codes:
        brought = None if given.promotion_id is None else book.promotions.by_id.get(given.promotion_id)
        if brought is not None and brought.promotion.limited:
            lives[brought.promotion.id] = brought
    return list(lives.values())


def _covering(book: Book, facts: Iterable[Facts], among: int) -> list[Live]:
    covering = 0
    for each in facts:
        covering |= book.promotions.matching(each)
    return [book.promotions.lives[bit] for bit in bits_of(covering & among)]


def counters_needed(limited: Iterable[Live], buyer: UUID) -> dict[UseKey, int]:
    """The counters of promotions that a buyer may use, and how far each may go."""
    counters: dict[UseKey, int] = {}
    for live in limited:
        counters.update(counters_of(live.promotion, buyer))
    return counters
