"""What carriers say about parcels, and the command that takes it in."""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain.journal.model import Command, Lane
from domain.orders.fulfilment_model import CarrierName, Tracking


class TrackingState(StrEnum):
    """How far a parcel has come; only the last one changes anything here."""

    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    FAILED_ATTEMPT = "failed_attempt"
    DELIVERED = "delivered"


class TrackingNews(Struct, frozen=True, forbid_unknown_fields=True):
    """A webhook of a carrier, by its own id: a parcel, and how far it has come."""

    id: Annotated[str, Meta(min_length=1, max_length=255)]
    tracking: Tracking
    state: TrackingState


class TakeTracking(Command, frozen=True):
    """Take in what a carrier says; a parcel that has arrived has its shipments delivered."""

    job: ClassVar[str] = "take_tracking"
    lane: ClassVar[Lane] = Lane.ORDERS

    carrier: CarrierName
    news: TrackingNews


class TrackingResult(Struct, frozen=True):
    """The shipments that are noted as delivered for it; those that were before are not."""

    shipments: tuple[UUID, ...]
