"""What a seller asks for a variant: the terms of an offer, and what becomes of it when they change.

Invariant: every change of an offer raises its version by one and is one event, whoever makes it: a route, an import,
a change of many prices. Terms that are the same change nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from domain import ids
from domain.catalog.model import OfferKey
from domain.catalog.product_lifecycle import ProductStatus
from domain.catalog.variants import OwnedVariant
from domain.journal.model import Event
from domain.money import Money
from domain.rejections import Code, Rejection

QUANTITY_CEILING = 1_000_000
WINDOW_SECONDS_MAX = 366 * 86_400
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)

# No control characters, no white space around. Python's $ would let a final line break through.
_SKU = r"^[^\s\x00-\x1f\x7f](?:[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?(?![\s\S])"
Sku = Annotated[str, Meta(min_length=1, max_length=100, pattern=_SKU, description="unique among its seller's offers")]
Moment = Annotated[datetime, Meta(tz=True)]


class OfferTerms(Struct, frozen=True, forbid_unknown_fields=True):
    """What a seller asks for a variant. It holds from ``valid_from`` on, and before ``valid_until``.

    A buyer may take ``quantity_max`` units: in one order, or, with ``quantity_window_seconds``, in any such time.
    """

    sku: Sku
    price: Money
    active: bool = True
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    quantity_max: Annotated[int, Meta(ge=1, le=QUANTITY_CEILING, description="units")] | None = None
    quantity_window_seconds: Annotated[int, Meta(ge=1, le=WINDOW_SECONDS_MAX)] | None = None


class WantedOffer(Struct, frozen=True):
    """An offer as it is to be."""

    variant_id: UUID
    seller_id: UUID
    terms: OfferTerms

    @property
    def key(self) -> OfferKey:
        """What it is known by."""
        return self.variant_id, self.seller_id


class OfferState(Struct, frozen=True):
    """An offer as it stands."""

    terms: OfferTerms
    version: int


class OfferFacts(Struct, frozen=True):
    """The events ``offer.created``, ``offer.changed`` and ``offer.ended``: the terms from now on."""

    variant_id: UUID
    seller_id: UUID
    sku: str
    price_minor: int
    currency: str
    active: bool
    valid_from: datetime | None
    valid_until: datetime | None
    quantity_max: int | None
    quantity_window_seconds: int | None


class PriceChanged(Struct, frozen=True):
    """The event ``offer.price_changed``: nothing but the price, in minor units of the offer's currency."""

    variant_id: UUID
    seller_id: UUID
    price_minor: int
    before_minor: int
    currency: str


class OfferPlan(Struct, frozen=True):
    """What to write: new offers, changed ones with their new versions, and an event for each of both."""

    new: list[WantedOffer]
    changed: list[tuple[WantedOffer, int]]
    events: list[Event]


def check_terms(terms: OfferTerms) -> Rejection | None:
    """What is wrong with terms in themselves; None when nothing is."""
    for path, moment in (("valid_from", terms.valid_from), ("valid_until", terms.valid_until)):
        if moment is not None and not EARLIEST <= moment < LATEST:
            return Rejection(400, Code.INVALID_REQUEST, "a moment from 1970 to 2999", path)
    if terms.valid_from is not None and terms.valid_until is not None and terms.valid_until <= terms.valid_from:
        return Rejection(400, Code.INVALID_REQUEST, "an offer ends after it begins", "valid_until")
    if terms.quantity_window_seconds is not None and terms.quantity_max is None:
        detail = "a time window limits a quantity: say quantity_max as well"
        return Rejection(400, Code.INVALID_REQUEST, detail, "quantity_window_seconds")
    return None


def check_offering(variant: OwnedVariant | None, seller_id: UUID) -> Rejection | None:
    """Whether a seller may begin to offer a variant: of its own product until that is archived, else what is shown."""
    if variant is not None and (variant.is_shown or _is_prepared_by(variant, seller_id)):
        return None
    return Rejection(404, Code.NOT_FOUND, "there is no such variant to offer")


def _is_prepared_by(variant: OwnedVariant, seller_id: UUID) -> bool:
    return variant.seller_id == seller_id and variant.product_status is not ProductStatus.ARCHIVED


def decide(
    wanted: Sequence[WantedOffer], standing: Mapping[OfferKey, OfferState], *, actor: UUID, correlation: str
) -> OfferPlan:
    """Compare offers as they are to be, each named once, with those that stand."""
    plan = OfferPlan([], [], [])
    for offer in wanted:
        before = standing.get(offer.key)
        stream = ids.offer_stream(*offer.key)
        if before is None:
            plan.new.append(offer)
            plan.events.append(Event(stream, 1, "offer.created", _facts(offer), actor, correlation))
            continue
        if before.terms == offer.terms:
            continue
        version = before.version + 1
        plan.changed.append((offer, version))
        if _only_the_amount(before.terms, offer.terms):
            changed = _price(offer, before.terms)
            plan.events.append(Event(stream, version, "offer.price_changed", changed, actor, correlation))
        else:
            plan.events.append(Event(stream, version, "offer.changed", _facts(offer), actor, correlation))
    return plan


def end(key: OfferKey, standing: OfferState, *, actor: UUID, correlation: str) -> OfferPlan:
    """Offer it no more. It stays, with its SKU: orders name it, and so does its stock."""
    if not standing.terms.active:
        return OfferPlan([], [], [])
    ended = WantedOffer(*key, msgspec.structs.replace(standing.terms, active=False))
    version = standing.version + 1
    event = Event(ids.offer_stream(*key), version, "offer.ended", _facts(ended), actor, correlation)
    return OfferPlan([], [(ended, version)], [event])


def _only_the_amount(before: OfferTerms, after: OfferTerms) -> bool:
    same_currency = before.price.currency == after.price.currency
    return same_currency and before == msgspec.structs.replace(after, price=before.price)


def _facts(offer: WantedOffer) -> str:
    terms = offer.terms
    facts = OfferFacts(
        offer.variant_id,
        offer.seller_id,
        terms.sku,
        terms.price.amount,
        terms.price.currency,
        terms.active,
        terms.valid_from,
        terms.valid_until,
        terms.quantity_max,
        terms.quantity_window_seconds,
    )
    return msgspec.json.encode(facts).decode()


def _price(offer: WantedOffer, before: OfferTerms) -> str:
    price = offer.terms.price
    changed = PriceChanged(offer.variant_id, offer.seller_id, price.amount, before.price.amount, price.currency)
    return msgspec.json.encode(changed).decode()
