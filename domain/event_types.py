"""Every type of event, with what it tells.

The one place that lists them: ``docs/events.md`` is made of it, and a test holds it against what the code writes.
"""

from collections.abc import Mapping

from msgspec import Struct

from domain.accounts.address_model import AddressOf
from domain.accounts.key_model import KeyCreated, KeyReplaced
from domain.accounts.seller_model import (
    MemberAdded,
    MemberRemoved,
    SellerApplied,
    SellerChanged,
    SellerNamed,
    SellerTurnedDown,
)
from domain.catalog.offers import OfferFacts, PriceChanged
from domain.catalog.product_model import ProductChanged, ProductCreated
from domain.catalog.taxonomy import (
    AttributeAssigned,
    AttributeDeleted,
    AttributeEdit,
    AttributeUnassigned,
    CategoryChanged,
    CategoryCreated,
    CategoryDeleted,
    CategoryMoved,
)
from domain.catalog.variants import VariantFacts
from domain.inventory.hold_model import ReservationEnded, ReservationExtended, ReservationMade
from domain.inventory.stock_model import StockForced, StockLow, StockReceived, StockSet, ThresholdSet
from domain.notifications.preference_sql import PreferenceChanged
from domain.notifications.webhook_model import EndpointEnded, EndpointTold, SecretRotated
from domain.orders.cart_model import CartCheckedOut, CartFacts, CartMerged, CartRemoved
from domain.orders.crediting import OrderCredited
from domain.orders.fulfilment_model import SellerOrderMoved, ShipmentArrived, UnitsShipped
from domain.orders.model import (
    CommissionSnapshotted,
    LinesCancelled,
    OrderConfirmed,
    OrderExpired,
    OrderPlaced,
    OrderRepriced,
)
from domain.orders.return_model import ReturnDecided, ReturnReceived, ReturnRequested
from domain.payments.invoice_model import DocumentIssued
from domain.payments.model import ChargebackMoved, PaymentMoved, PaymentStarted, RefundMoved, StockTakenAgain
from domain.payments.payouts import PayoutApproved, PayoutCollected, PayoutFailed, PayoutPaid
from domain.pricing.commission_edit import RuleWritten
from domain.pricing.promotion_edit import CodesMade, PromotionChanged, PromotionCreated
from domain.pricing.rate_cards import RateCardReplaced

NOTHING: Mapping[str, str] = {}

EVENT_TYPES: Mapping[str, type[Struct] | Mapping[str, str]] = {
    "order.placed": OrderPlaced,
    "order.repriced": OrderRepriced,
    "order.lines_cancelled": LinesCancelled,
    "order.cancelled": LinesCancelled,
    "order.expired": OrderExpired,
    "order.taken_up_again": StockTakenAgain,
    "order.confirmed": OrderConfirmed,
    "order.accepted": SellerOrderMoved,
    "order.shipped": UnitsShipped,
    "order.shipment_delivered": ShipmentArrived,
    "order.delivered": SellerOrderMoved,
    "order.returned": SellerOrderMoved,
    "order.payment_started": PaymentStarted,
    "order.payment_action_required": PaymentMoved,
    "order.payment_failed": PaymentMoved,
    "order.payment_authorized": PaymentMoved,
    "order.payment_captured": PaymentMoved,
    "order.payment_voided": PaymentMoved,
    "order.credited": OrderCredited,
    "order.refund_started": RefundMoved,
    "order.refunded": RefundMoved,
    "order.refund_failed": RefundMoved,
    "order.return_requested": ReturnRequested,
    "order.return_approved": ReturnDecided,
    "order.return_rejected": ReturnDecided,
    "order.return_received": ReturnReceived,
    "order.chargeback_opened": ChargebackMoved,
    "order.chargeback_fee_charged": ChargebackMoved,
    "order.chargeback_won": ChargebackMoved,
    "order.chargeback_lost": ChargebackMoved,
    "order.commission_snapshotted": CommissionSnapshotted,
    "payout.collected": PayoutCollected,
    "payout.approved": PayoutApproved,
    "payout.paid": PayoutPaid,
    "payout.failed": PayoutFailed,
    "invoice.issued": DocumentIssued,
    "credit_note.issued": DocumentIssued,
    "webhook_endpoint.created": EndpointTold,
    "webhook_endpoint.changed": EndpointTold,
    "webhook_endpoint.rotated": SecretRotated,
    "webhook_endpoint.disabled": EndpointEnded,
    "webhook_endpoint.removed": EndpointEnded,
    "address.added": AddressOf,
    "address.changed": AddressOf,
    "address.removed": AddressOf,
    "api_key.created": KeyCreated,
    "api_key.replaced": KeyReplaced,
    "api_key.revoked": NOTHING,
    "account.registered": NOTHING,
    "account.verified": NOTHING,
    "mail_preference.changed": PreferenceChanged,
    "account.changed": {"fields": "list of text"},
    "account.password_changed": NOTHING,
    "account.suspended": {"reason": "text"},
    "account.reactivated": NOTHING,
    "account.roles_changed": {"roles": "list of text"},
    "account.group_changed": {"group": "text or null"},
    "session.opened": {"account_id": "uuid"},
    "session.revoked": {"account_id": "uuid"},
    "seller.applied": SellerApplied,
    "seller.approved": SellerNamed,
    "seller.rejected": SellerTurnedDown,
    "seller.suspended": SellerTurnedDown,
    "seller.reinstated": SellerNamed,
    "seller.changed": SellerChanged,
    "seller.member_added": MemberAdded,
    "seller.member_removed": MemberRemoved,
    "category.created": CategoryCreated,
    "category.changed": CategoryChanged,
    "category.moved": CategoryMoved,
    "category.deleted": CategoryDeleted,
    "category.attribute_assigned": AttributeAssigned,
    "category.attribute_unassigned": AttributeUnassigned,
    "attribute.created": AttributeEdit,
    "attribute.changed": AttributeEdit,
    "attribute.deleted": AttributeDeleted,
    "product.created": ProductCreated,
    "product.changed": ProductChanged,
    "product.submitted": ProductChanged,
    "product.approved": ProductChanged,
    "product.rejected": ProductChanged,
    "product.activated": ProductChanged,
    "product.deactivated": ProductChanged,
    "product.archived": ProductChanged,
    "variant.created": VariantFacts,
    "variant.changed": VariantFacts,
    "promotion.created": PromotionCreated,
    "promotion.changed": PromotionChanged,
    "promotion.activated": NOTHING,
    "promotion.paused": NOTHING,
    "promotion.ended": NOTHING,
    "promotion.codes_made": CodesMade,
    "offer.created": OfferFacts,
    "offer.price_changed": PriceChanged,
    "offer.changed": OfferFacts,
    "offer.ended": OfferFacts,
    "stock.set": StockSet,
    "stock.received": StockReceived,
    "stock.forced": StockForced,
    "stock.threshold_set": ThresholdSet,
    "stock.low": StockLow,
    "reservation.made": ReservationMade,
    "reservation.extended": ReservationExtended,
    "reservation.released": ReservationEnded,
    "reservation.confirmed": ReservationEnded,
    "reservation.expired": ReservationEnded,
    "rate_card.replaced": RateCardReplaced,
    "commission_rule.created": RuleWritten,
    "commission_rule.changed": RuleWritten,
    "commission_rule.ended": RuleWritten,
    "cart.created": CartFacts,
    "cart.changed": CartFacts,
    "cart.moved": CartFacts,
    "cart.merged": CartMerged,
    "cart.removed": CartRemoved,
    "cart.checked_out": CartCheckedOut,
}
"""By type: the Struct that is its data, or, where that is written without one, the types of its fields."""
