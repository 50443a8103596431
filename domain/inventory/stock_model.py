"""Stock as people keep it: what they ask for, what stands in the rows, what is told about it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from msgspec import Meta, Struct

from domain import ids
from domain.inventory.model import StockKey
from domain.journal.model import Command, Lane
from domain.rejections import Code, Rejection
from domain.text import LINE_PATTERN

STOCK_CEILING = 1_000_000_000
"""The most of any figure: two of them still add up to what PostgreSQL's integer holds."""
BULK_ROWS_MAX = 10_000
VERSIONS_MAX = 100

Units = Annotated[int, Meta(ge=0, le=STOCK_CEILING, description="units")]
Difference = Annotated[int, Meta(ge=-STOCK_CEILING, le=STOCK_CEILING, description="units")]
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=LINE_PATTERN)]
Version = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Versions = Annotated[tuple[Version, ...], Meta(max_length=VERSIONS_MAX)]


class Cause(StrEnum):
    """Why units came or went, as somebody says who changes stock by hand."""

    ADJUSTED = "adjusted"
    RECEIVED = "received"


class StockChange(Struct, frozen=True, forbid_unknown_fields=True):
    """A count (``on_hand``) or a difference (``delta``), and how far the offer may be sold beyond what is there.

    ``version`` is the one the change is meant for. What would leave less than is reserved is refused unless ``force``
    is set, which raises the backorder limit by what is short. ``cause`` is ``received`` for units that arrived.
    """

    reason: Reason
    on_hand: Units | None = None
    delta: Difference | None = None
    backorder_limit: Units | None = None
    version: Version | None = None
    cause: Cause = Cause.ADJUSTED
    force: bool = False


class StockRow(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One offer's change among many of its seller."""

    variant_id: UUID
    on_hand: Units | None = None
    delta: Difference | None = None
    backorder_limit: Units | None = None
    version: Version | None = None


class StockChanges(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Changes of many offers of a seller, for one reason. Each is carried out or refused by itself.

    ``seller_id`` is for an admin to say; who acts for a seller changes that one's.
    """

    reason: Reason
    items: Annotated[tuple[StockRow, ...], Meta(min_length=1, max_length=BULK_ROWS_MAX)]
    seller_id: UUID | None = None
    cause: Cause = Cause.ADJUSTED
    force: bool = False


class SetStock(Command, frozen=True, omit_defaults=True):
    """Change the stock of an offer. ``versions`` are those it is meant for; null is any."""

    job: ClassVar[str] = "set_stock"
    lane: ClassVar[Lane] = Lane.STOCK
    ordered: ClassVar[bool] = True

    variant_id: UUID
    seller_id: UUID
    change: StockChange
    versions: Versions | None = None

    def weight(self) -> int:
        """Rows it writes: figures, movement, event."""
        return 3

    def aggregate(self) -> UUID:
        """The stock."""
        return ids.stock_stream(self.variant_id, self.seller_id, 0)


class ImportStock(Command, frozen=True):
    """Change the stock of many offers of a seller."""

    job: ClassVar[str] = "import_stock"
    lane: ClassVar[Lane] = Lane.STOCK
    ordered: ClassVar[bool] = True

    seller_id: UUID
    changes: StockChanges

    def weight(self) -> int:
        """Rows it writes."""
        return 3 * len(self.changes.items)

    def aggregate(self) -> UUID:
        """The seller: its lists are carried out in the order in which they came."""
        return self.seller_id


class Threshold(Struct, frozen=True, forbid_unknown_fields=True):
    """From how many available units on an offer's stock counts as low; null is never."""

    threshold: Units | None


class StockFigures(Struct, frozen=True):
    """A row of stock. ``events`` is how many events its stream has."""

    on_hand: int
    reserved: int
    backorder_limit: int
    threshold: int | None
    version: int
    events: int

    @property
    def available(self) -> int:
        """What can still be reserved."""
        return self.on_hand + self.backorder_limit - self.reserved

    @property
    def low(self) -> bool:
        """Whether the threshold is reached."""
        return self.threshold is not None and self.available <= self.threshold


class ChangedStock(Struct, frozen=True):
    """The result of a change: the figures from then on; ``forced`` is how much was short of what is reserved."""

    variant_id: UUID
    seller_id: UUID
    on_hand: int
    reserved: int
    backorder_limit: int
    available: int
    forced: int
    version: int


class RefusedRow(Struct, frozen=True):
    """A row of many that was refused, by its index, with its problem."""

    index: int
    problem: Rejection


class ImportedStock(Struct, frozen=True):
    """The result of many changes: how many rows were carried out and refused, and the first thousand refused ones."""

    changed: int
    unchanged: int
    refused: int
    forced: int
    problems: tuple[RefusedRow, ...]


class StockSet(Struct, frozen=True):
    """The event ``stock.set``: somebody counted, received or adjusted; the figures from then on."""

    variant_id: UUID
    seller_id: UUID
    location: int
    on_hand: int
    on_hand_delta: int
    backorder_limit: int
    cause: Cause
    reason: str


class StockForced(Struct, frozen=True):
    """The event ``stock.forced``: ``shortfall`` reserved units aren't there; the backorder limit rose by them."""

    variant_id: UUID
    seller_id: UUID
    location: int
    reserved: int
    shortfall: int
    backorder_limit: int


class ThresholdSet(Struct, frozen=True):
    """The event ``stock.threshold_set``."""

    variant_id: UUID
    seller_id: UUID
    location: int
    threshold: int | None


class StockReceived(Struct, frozen=True):
    """The event ``stock.received``: units came with a list of goods that was taken in."""

    variant_id: UUID
    seller_id: UUID
    location: int
    on_hand_delta: int
    reason: str


class StockLow(Struct, frozen=True):
    """The event ``stock.low``: available has fallen to the threshold, or below."""

    variant_id: UUID
    seller_id: UUID
    location: int
    available: int
    threshold: int


class MovementPlace(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a movement stands among others: when, of which cause, of which kind."""

    at: Annotated[datetime, Meta(tz=True)]
    cause_id: UUID
    kind: Annotated[str, Meta(max_length=20)]


def fault_of_change(change: StockChange | StockRow, cause: Cause) -> Rejection | None:
    """What is wrong with a change in itself; None when nothing is."""
    if change.on_hand is not None and change.delta is not None:
        return _malformed("a change is a count or a difference, not both", "delta")
    if change.on_hand is None and change.delta is None and change.backorder_limit is None:
        return _malformed("say on_hand, delta or backorder_limit", "on_hand")
    if cause is Cause.RECEIVED and (change.delta is None or change.delta <= 0):
        return _malformed("units that were received are a delta above 0", "delta")
    return None


def _malformed(detail: str, path: str) -> Rejection:
    return Rejection(400, Code.INVALID_REQUEST, detail, path)


def key_of(variant_id: UUID, seller_id: UUID) -> StockKey:
    """The stock of an offer, at the one location there is."""
    return StockKey(variant_id, seller_id)
