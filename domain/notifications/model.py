"""Who is told of what by mail: kinds of mails, whom they are for, and the command that sends one.

Invariant: a notification is about one event, for one recipient, over one channel, once: a unique key says so. Neither
it nor its command holds an address: that is looked up when the mail is sent.
"""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from domain.journal.model import Command, Lane


class NotificationKind(StrEnum):
    """What a mail is about. The names are those of its templates."""

    ORDER_PLACED = "order_placed"
    ORDER_CONFIRMED = "order_confirmed"
    PAYMENT_FAILED = "payment_failed"
    ORDER_SHIPPED = "order_shipped"
    ORDER_DELIVERED = "order_delivered"
    ORDER_CANCELLED = "order_cancelled"
    LINES_CANCELLED = "lines_cancelled"
    RETURN_APPROVED = "return_approved"
    ORDER_REFUNDED = "order_refunded"
    NEW_ORDER = "new_order"
    SALE_CANCELLED = "sale_cancelled"
    LOW_STOCK = "low_stock"
    PRODUCT_APPROVED = "product_approved"
    PRODUCT_REJECTED = "product_rejected"
    PAYOUT_PAID = "payout_paid"
    WEBHOOK_DISABLED = "webhook_disabled"


class Audience(StrEnum):
    """As what somebody is told: a seller's member who buys there is told as both."""

    BUYER = "buyer"
    SELLER = "seller"
    ADMIN = "admin"


class Channel(StrEnum):
    """How somebody is told."""

    EMAIL = "email"


class NotificationState(StrEnum):
    """``queued`` → ``sent``, ``refused`` (by the mail server) or ``skipped`` (nobody to send it to, or switched off).

    ``gathered``: another notification's mail tells of it.
    """

    QUEUED = "queued"
    GATHERED = "gathered"
    SENT = "sent"
    REFUSED = "refused"
    SKIPPED = "skipped"


NEEDED = frozenset(
    {
        NotificationKind.ORDER_PLACED,
        NotificationKind.ORDER_CONFIRMED,
        NotificationKind.ORDER_CANCELLED,
        NotificationKind.LINES_CANCELLED,
        NotificationKind.ORDER_REFUNDED,
        NotificationKind.PRODUCT_REJECTED,
    }
)
"""Mails nobody can switch off: what of a contract has to be confirmed in writing (Directive 2011/83/EU, article 8 (7);
2000/31/EC, article 11), and the reasons that a platform owes those whose content it refuses (Regulation (EU)
2022/2065, article 17). Mails about accounts can't be switched off either: they are of another kind.
"""


class TellPayout(Command, frozen=True):
    """Tell sellers that a payout was paid, from a seller on: a payout may have more of them than one step takes."""

    job: ClassVar[str] = "tell_payouts"
    lane: ClassVar[Lane] = Lane.IO

    payout_id: UUID
    version: int
    after_seller: UUID = UUID(int=0)

    def weight(self) -> int:
        """Rows it writes, about."""
        return 2_000


class SendNotification(Command, frozen=True):
    """Write and send the mail of one notification; it waits for an earlier command about the same one."""

    job: ClassVar[str] = "send_notifications"
    lane: ClassVar[Lane] = Lane.IO
    ordered: ClassVar[bool] = True

    notification_id: UUID

    def aggregate(self) -> UUID:
        """The notification."""
        return self.notification_id


class Notification(Struct, frozen=True):
    """One event told to one recipient. ``recipient`` is an account, or the guest who bought.

    ``seller_id`` is the seller it is about: whose part of an order, whose product. One that is ``told_in`` another is
    in that one's mail. It isn't sent before ``due_at``.
    """

    id: UUID
    stream: UUID
    version: int
    audience: Audience
    recipient: UUID
    kind: NotificationKind
    seller_id: UUID | None
    due_at: datetime
    told_in: UUID | None = None

    @property
    def state(self) -> NotificationState:
        """How it begins."""
        return NotificationState.QUEUED if self.told_in is None else NotificationState.GATHERED


class Gathering(Struct, frozen=True):
    """The last mail of a recipient that gathers what comes; into an ``open`` one more can be gathered."""

    id: UUID
    due_at: datetime
    open: bool


class Notified(Struct, frozen=True):
    """The result of sending: what became of the notification, under which Message-ID, or why not."""

    state: NotificationState
    message_id: str | None = None
    reason: str = ""
