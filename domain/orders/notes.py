"""Notes on orders: what sellers and the platform write down for themselves.

Invariant: buyers see none of them, so they are no events of the order: its timeline is its buyer's to read. A seller's
notes are seen by that seller and by admins, the platform's by admins alone. They are only ever added.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

TEXT_LENGTH_MAX = 2_000


class NewNote(Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody writes down."""

    text: Annotated[str, Meta(min_length=1, max_length=TEXT_LENGTH_MAX, pattern=r"\S")]


class Note(Struct, frozen=True):
    """A note. ``seller_id`` says whose it is; null for the platform's own."""

    id: UUID
    order_id: UUID
    seller_id: UUID | None
    author: UUID
    text: str
    at: datetime
