"""Limits a deployment may set, as the decisions see them.

The types of the wire carry hard ceilings; these, checked after decoding, are what a deployment allows.
"""

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """Counts, units and seconds that a request may ask for."""

    order_lines_max: int = 100
    line_quantity_max: int = 10_000
    order_codes_max: int = 10
    variants_max: int = 1_000
    string_length_max: int = 2_000
    json_depth_max: int = 20
    reservation_seconds: int = 900
    reservation_seconds_max: int = 86_400
    idempotency_hours: int = 72
    journal_days: int = 30
    cart_days: int = 30
    worker_silence_seconds: float = 5.0
    verify_link_seconds: int = 172_800
    reset_link_seconds: int = 3_600
    chargeback_liability: str = "seller"
    payment_check_seconds: float = 300.0
    payout_hold_seconds: int = 604_800
    payout_minimum_minor: int = 100
    webhook_failing_seconds: int = 259_200
    webhook_days: int = 30
    return_seconds: int = 2_592_000
    low_stock_mail_seconds: int = 900
