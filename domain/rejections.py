"""Refusals are values.

Invariant: a refusal never fails the batch it is decided in. It carries the HTTP status it would have had
(RFC 9457), a stable code, one sentence, and the path of the offending field. Clients branch on ``code``, so
every code stands in this module, once.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct


class Code(StrEnum):
    """Stable codes of problems. A code that was published is never renamed."""

    INVALID_REQUEST = "invalid_request"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_CREDENTIALS = "invalid_credentials"
    INVALID_LINK = "invalid_link"
    ACCOUNT_SUSPENDED = "account_suspended"
    WEAK_PASSWORD = "weak_password"  # noqa: S105 - a code, not a password
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    GONE = "gone"
    CONFLICT = "conflict"
    LIMIT_REACHED = "limit_reached"
    STALE_VERSION = "stale_version"
    BODY_TOO_LARGE = "body_too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    UNKNOWN_OFFER = "unknown_offer"
    OFFER_UNAVAILABLE = "offer_unavailable"
    CURRENCY_MISMATCH = "currency_mismatch"
    PRICE_CHANGED = "price_changed"
    OUT_OF_STOCK = "out_of_stock"
    STOCK_SHORT = "stock_short"
    RESERVATION_STATE = "reservation_state"
    UNKNOWN_RESERVATION = "unknown_reservation"
    QUANTITY_LIMIT = "quantity_limit"
    QUANTITY_TOO_LARGE = "quantity_too_large"
    AMOUNT_TOO_LARGE = "amount_too_large"
    CODE_REFUSED = "code_refused"
    PROMOTION_STATE = "promotion_state"
    NOT_SHIPPABLE = "not_shippable"
    UNKNOWN_SHIPPING_METHOD = "unknown_shipping_method"
    UNKNOWN_ADDRESS = "unknown_address"
    RULE_IN_USE = "rule_in_use"
    CART_STATE = "cart_state"
    ORDER_NOT_PLACED = "order_not_placed"
    ORDER_STATE = "order_state"
    PAYMENT_STATE = "payment_state"
    PAYMENT_DECLINED = "payment_declined"
    PAYOUT_STATE = "payout_state"
    NOTHING_TO_REFUND = "nothing_to_refund"
    RETURN_STATE = "return_state"
    UNKNOWN_GATEWAY = "unknown_gateway"
    UNKNOWN_LINE = "unknown_line"
    UNKNOWN_CARRIER = "unknown_carrier"
    UNKNOWN_SHIPMENT = "unknown_shipment"
    UNITS_SHORT = "units_short"
    UNKNOWN_CATEGORY = "unknown_category"
    CATEGORY_CYCLE = "category_cycle"
    CATEGORY_IN_USE = "category_in_use"
    ATTRIBUTE_IN_USE = "attribute_in_use"
    ATTRIBUTE_INVALID = "attribute_invalid"
    DUPLICATE_SLUG = "duplicate_slug"
    DUPLICATE_CODE = "duplicate_code"
    MAIL_REFUSED = "mail_refused"
    WEBHOOK_REFUSED = "webhook_refused"
    BAD_SIGNATURE = "bad_signature"
    TOO_MANY_VARIANTS = "too_many_variants"
    DUPLICATE_SKU = "duplicate_sku"
    SELLER_STATE = "seller_state"
    PRODUCT_STATE = "product_state"
    JOB_STATE = "job_state"
    JOB_FAILED = "job_failed"


_TITLES = {
    Code.LIMIT_REACHED: "There are as many as there may be",
    Code.UNAUTHENTICATED: "A valid bearer token is needed",
    Code.INVALID_CREDENTIALS: "These credentials don't let anybody in",
    Code.INVALID_LINK: "The link is no good any more",
    Code.STALE_VERSION: "Somebody else has changed it meanwhile",
    Code.RATE_LIMITED: "Too many requests",
    Code.IDEMPOTENCY_KEY_REUSED: "The Idempotency-Key belongs to another request",
    Code.CATEGORY_CYCLE: "A category can't be below itself",
    Code.DUPLICATE_SLUG: "The slug is taken",
    Code.DUPLICATE_CODE: "The code is taken",
    Code.DUPLICATE_SKU: "The SKU is taken",
    Code.RULE_IN_USE: "Orders pay by this rule: it is ended, not changed",
    Code.QUANTITY_LIMIT: "A buyer may have no more of this offer",
    Code.STOCK_SHORT: "More is reserved than would be left",
    Code.RESERVATION_STATE: "The reservation's state doesn't allow this",
    Code.ORDER_STATE: "The order's state doesn't allow this",
    Code.UNITS_SHORT: "Fewer units are left",
    Code.CART_STATE: "The cart's state doesn't allow this",
    Code.PAYMENT_STATE: "The payment's state doesn't allow this",
    Code.RETURN_STATE: "The return's state doesn't allow this",
    Code.PAYOUT_STATE: "The payout's state doesn't allow this",
    Code.NOTHING_TO_REFUND: "There isn't that much left to refund",
    Code.PAYMENT_DECLINED: "The payment didn't go through",
    Code.MAIL_REFUSED: "The mail can't be delivered to this address",
    Code.BAD_SIGNATURE: "The webhook's signature doesn't hold",
    Code.SELLER_STATE: "The seller's state doesn't allow this",
    Code.PRODUCT_STATE: "The product's state doesn't allow this",
    Code.PROMOTION_STATE: "The promotion's state doesn't allow this",
    Code.JOB_STATE: "The job's state doesn't allow this",
}


def title_of(code: str) -> str:
    """The short, human-readable summary of a code: the same for each occurrence (RFC 9457 §3.1.3)."""
    return _TITLES.get(Code(code), code.replace("_", " ").capitalize())


class Rejection(Struct, frozen=True, omit_defaults=True):
    """Why a command was refused: an HTTP status, a stable code, one sentence, the field's path."""

    status: Annotated[int, Meta(ge=400, le=599)]
    code: Code
    detail: Annotated[str, Meta(max_length=2000)]
    path: Annotated[str, Meta(max_length=2000)] | None = None
