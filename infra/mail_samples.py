"""Every mail with made-up contents: what a preview shows, and what tests hold all templates and catalogs to."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from uuid import UUID

from msgspec.structs import replace

from domain.accounts.mail import WITH_TOKEN, MailKind, SendAccountMail
from domain.accounts.model import Language
from domain.notifications.facts import (
    EndpointFacts,
    Facts,
    Item,
    LowOffer,
    OrderFacts,
    PayoutFacts,
    ProductFacts,
    StockFacts,
)
from domain.notifications.model import NotificationKind
from infra import letters, notification_letters
from infra.mail import Post
from infra.notification_letters import Letter

AT = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
KEY = UUID("0195936a-2a40-7000-8000-000000000000")
TO = "ada@example.com"
NAME = "Ada"

_ITEMS = (Item("Cup, blue", "CUP-BLUE", 2, 2_400), Item("Plate <Tom & Jerry>", "PLATE-7", 1, 1_550))
_UNITS = tuple(Item(item.title, item.sku, item.quantity) for item in _ITEMS)
_ORDER = OrderFacts(KEY, "7Z0K-93QM-1T8C", "EUR")
_PRICED = replace(_ORDER, items=_ITEMS, total_minor=4_145, discount_minor=300, shipping_minor=495, tax_minor=662)
_PART = replace(_ORDER, seller="Potter's", seller_order_id=KEY)

SAMPLES: Mapping[NotificationKind, Facts] = {
    NotificationKind.ORDER_PLACED: replace(_PRICED, expires_at=AT),
    NotificationKind.ORDER_CONFIRMED: _PRICED,
    NotificationKind.PAYMENT_FAILED: replace(_ORDER, total_minor=4_145),
    NotificationKind.ORDER_SHIPPED: replace(
        _ORDER, items=_UNITS, seller="Potter's", carrier="manual", tracking="00340434161094021501"
    ),
    NotificationKind.ORDER_DELIVERED: replace(_ORDER, seller="Potter's"),
    NotificationKind.ORDER_CANCELLED: replace(
        _ORDER, items=_UNITS, total_minor=0, amount_minor=4_145, reason="The kiln broke down."
    ),
    NotificationKind.LINES_CANCELLED: replace(
        _ORDER, items=_UNITS[1:], total_minor=2_595, amount_minor=1_550, reason="The last one broke."
    ),
    NotificationKind.RETURN_APPROVED: replace(
        _ORDER, items=_UNITS[:1], seller="Potter's", reason="Please wrap it well.\nThank you."
    ),
    NotificationKind.ORDER_REFUNDED: replace(_ORDER, amount_minor=1_550),
    NotificationKind.NEW_ORDER: replace(_PART, items=_UNITS),
    NotificationKind.SALE_CANCELLED: replace(_PART, items=_UNITS[:1], reason="Ordered by mistake."),
    NotificationKind.LOW_STOCK: StockFacts((LowOffer("Cup, blue", "CUP-BLUE", 0, 5), LowOffer("Bowl", "BOWL", 4, 5))),
    NotificationKind.PRODUCT_APPROVED: ProductFacts(KEY, "Cup"),
    NotificationKind.PRODUCT_REJECTED: ProductFacts(KEY, "Cup", "The title says nothing.\nThe picture is missing."),
    NotificationKind.PAYOUT_PAID: PayoutFacts(123_456, "EUR", 12),
    NotificationKind.WEBHOOK_DISABLED: EndpointFacts("hooks.example.com", "it gave no 2xx for five days"),
}

KINDS = (*(kind.value for kind in MailKind), *(kind.value for kind in NotificationKind))


def sample(kind: str, post: Post, language: Language) -> EmailMessage:
    """The mail of a kind in a language, as somebody called Ada would get it."""
    message_id = post.message_id(KEY)
    if kind in set(NotificationKind):
        told = NotificationKind(kind)
        letter = Letter(KEY, told, TO, NAME, language, message_id, AT, SAMPLES[told])
        return notification_letters.write(letter, post)[0]
    about = MailKind(kind)
    command = SendAccountMail(
        about,
        TO,
        name=NAME,
        token_id=KEY if about in WITH_TOKEN else None,
        reason="The papers are out of date.",
        language=language,
    )
    return letters.write(command, letters.recipient_at(TO), post, message_id=message_id, date=AT)
