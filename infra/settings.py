"""Every setting of a process, read once from the environment into one frozen Struct.

Invariant: a process that boots has settings that are complete and well-formed; one that hasn't ends with a
single line that names the setting. ``docs/settings.md`` lists them; a test holds the two together.
"""

import os
import sys
from collections.abc import Mapping
from typing import Annotated, Literal, NoReturn

import msgspec
from msgspec import Meta, Struct

from domain.accounts.model import Language
from domain.journal.model import Lane
from domain.limits import Limits
from infra import relay
from infra.relay import Mailbox, Relay
from infra.standard_webhooks import Signer

Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Seconds = Annotated[float, Meta(gt=0, le=86_400 * 366)]
SECRET_BYTES_MIN = 32
PAGE_SIZE_CEILING = 1_000
MAIL_CONCURRENCY_MAX = 32
# For mails that only their developer sees, on the console.
LOCAL_SENDER = Mailbox("ordermill@localhost", "localhost", "Ordermill")
LOCAL_FRONT_END = "http://localhost:3000"


class SettingError(Exception):
    """A setting is missing or malformed; the message is one line that names it."""


class Settings(Struct, frozen=True, kw_only=True, rename="upper"):
    """The environment variables Ordermill reads, under their upper-case names.

    A field without a default must be set.
    """

    database_url: Annotated[str, Meta(pattern="^postgres(ql)?://", max_length=2_000)]
    redis_url: Annotated[str, Meta(pattern="^(rediss?|unix)://", max_length=2_000)]
    secret_key: Annotated[str, Meta(min_length=SECRET_BYTES_MIN, max_length=1_000)]
    encryption_keys: Annotated[str, Meta(max_length=4_000)] = ""
    signing_keys_file: Annotated[str, Meta(max_length=4_096)] = ""
    lanes: Annotated[str, Meta(max_length=200)] = "orders,stock,pricing,io,payouts,sweeps"
    sentry_dsn: Annotated[str, Meta(max_length=2_000)] = ""
    metrics_host: Annotated[str, Meta(max_length=253)] = "127.0.0.1"
    metrics_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    mail_url: Annotated[str, Meta(pattern="^(console:$|smtps?://)", max_length=2_000)] = relay.CONSOLE
    mail_from: Annotated[str, Meta(max_length=400)] = ""
    public_url: Annotated[str, Meta(pattern="^https?://", max_length=1_000)] = ""
    api_url: Annotated[str, Meta(pattern="^https?://", max_length=1_000)] = ""
    mail_language: Language = Language.EN
    low_stock_mail_seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 900

    sandbox_webhook_secret: Annotated[str, Meta(min_length=8, max_length=500)] = ""
    sandbox_webhook_url: Annotated[str, Meta(pattern="^https?://", max_length=2_000)] = ""
    sandbox_late_seconds: Seconds = 10.0
    carrier_webhook_secret: Annotated[str, Meta(min_length=8, max_length=500)] = ""
    stripe_secret_key: Annotated[str, Meta(pattern="^(sk|rk)_", max_length=500)] = ""
    stripe_webhook_secret: Annotated[str, Meta(pattern="^whsec_", max_length=500)] = ""
    stripe_api_base: Annotated[str, Meta(pattern="^https?://", max_length=2_000)] = "https://api.stripe.com"
    payment_seconds: Seconds = 10.0
    mail_concurrency: Annotated[int, Meta(ge=1, le=MAIL_CONCURRENCY_MAX)] = 8
    payment_concurrency: Annotated[int, Meta(ge=1, le=1_000)] = 64
    breaker_failures: Annotated[int, Meta(ge=1, le=1_000)] = 5
    breaker_seconds: Seconds = 30.0

    http_host: Annotated[str, Meta(max_length=253)] = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=1, le=65_535)] = 8000
    http_processes: Annotated[int, Meta(ge=1, le=64)] = 1
    body_bytes_max: Annotated[int, Meta(ge=1_024, le=64 * 1024 * 1024)] = 1024 * 1024
    idempotency_key_length_max: Annotated[int, Meta(ge=1, le=1_000)] = 255
    trusted_proxies: Annotated[int, Meta(ge=0, le=10)] = 0
    rate_limits: Literal["on", "off"] = "on"
    rate_auth_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    rate_requests_per_second: Annotated[int, Meta(ge=1, le=100_000)] = 300
    wait_seconds_max: Annotated[float, Meta(ge=0, le=300)] = 30.0
    page_size: Annotated[int, Meta(ge=1, le=PAGE_SIZE_CEILING)] = 50
    page_size_max: Annotated[int, Meta(ge=1, le=PAGE_SIZE_CEILING)] = 200
    accept_buffer_max: Count = 10_000
    accept_batch_max: Annotated[int, Meta(ge=1, le=10_000)] = 500
    backlog_max: Count = 100_000

    database_pooler: Literal["none", "transaction"] = "none"
    api_connections_max: Annotated[int, Meta(ge=2, le=1_000)] = 8
    worker_connections_max: Annotated[int, Meta(ge=3, le=1_000)] = 8
    worker_batch_commands_max: Annotated[int, Meta(ge=1, le=10_000)] = 200
    worker_batch_rows_max: Annotated[int, Meta(ge=1, le=100_000)] = 10_000
    worker_attempts_max: Annotated[int, Meta(ge=1, le=100)] = 3
    worker_silence_seconds: Seconds = 5.0

    order_lines_max: Annotated[int, Meta(ge=1, le=1_000)] = 100
    line_quantity_max: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    order_codes_max: Annotated[int, Meta(ge=1, le=50)] = 10
    variants_max: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    string_length_max: Annotated[int, Meta(ge=1, le=2_000)] = 2_000
    json_depth_max: Annotated[int, Meta(ge=2, le=200)] = 20
    reservation_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 900
    reservation_seconds_max: Annotated[int, Meta(ge=1, le=31 * 86_400)] = 86_400
    idempotency_hours: Annotated[int, Meta(ge=1, le=24 * 366)] = 72
    journal_days: Annotated[int, Meta(ge=2, le=3_660)] = 30
    cart_days: Annotated[int, Meta(ge=1, le=3_660)] = 30

    payment_check_seconds: Seconds = 300.0
    chargeback_liability: Literal["seller", "platform"] = "seller"
    payout_hold_seconds: Annotated[int, Meta(ge=0, le=366 * 86_400)] = 604_800
    payout_minimum_minor: Annotated[int, Meta(ge=1, le=10**12)] = 100
    stream_listeners_max: Annotated[int, Meta(ge=0, le=100_000)] = 2_000
    webhook_allow_private: Literal["on", "off"] = "off"
    webhook_seconds: Annotated[float, Meta(gt=0, le=25)] = 10.0
    webhook_concurrency: Annotated[int, Meta(ge=1, le=256)] = 64
    webhook_failing_seconds: Annotated[int, Meta(ge=60, le=86_400 * 366)] = 259_200
    webhook_days: Annotated[int, Meta(ge=1, le=3_650)] = 30
    return_seconds: Annotated[int, Meta(ge=1, le=3_660 * 86_400)] = 2_592_000

    api_key_days: Annotated[int, Meta(ge=1, le=3_660)] = 90
    api_key_days_max: Annotated[int, Meta(ge=1, le=3_660)] = 366
    email_verification: Literal["required", "optional"] = "required"
    password_length_min: Annotated[int, Meta(ge=8, le=64)] = 8
    access_token_seconds: Annotated[int, Meta(ge=1, le=86_400)] = 900
    refresh_token_seconds: Annotated[int, Meta(ge=60, le=366 * 86_400)] = 604_800
    guest_token_seconds: Annotated[int, Meta(ge=60, le=366 * 86_400)] = 604_800
    verify_link_seconds: Annotated[int, Meta(ge=60, le=31 * 86_400)] = 172_800
    reset_link_seconds: Annotated[int, Meta(ge=60, le=86_400)] = 3_600

    expiry_sweep_seconds: Seconds = 5.0
    promotion_sweep_seconds: Seconds = 60.0
    relist_sweep_seconds: Seconds = 5.0
    rescue_sweep_seconds: Seconds = 2.0
    prune_sweep_seconds: Seconds = 300.0
    audit_sweep_seconds: Seconds = 3_600.0

    def limits(self) -> Limits:
        """The limits that decisions see."""
        return Limits(
            order_lines_max=self.order_lines_max,
            line_quantity_max=self.line_quantity_max,
            order_codes_max=self.order_codes_max,
            variants_max=self.variants_max,
            string_length_max=self.string_length_max,
            json_depth_max=self.json_depth_max,
            reservation_seconds=self.reservation_seconds,
            reservation_seconds_max=self.reservation_seconds_max,
            idempotency_hours=self.idempotency_hours,
            journal_days=self.journal_days,
            cart_days=self.cart_days,
            worker_silence_seconds=self.worker_silence_seconds,
            verify_link_seconds=self.verify_link_seconds,
            reset_link_seconds=self.reset_link_seconds,
            chargeback_liability=self.chargeback_liability,
            payment_check_seconds=self.payment_check_seconds,
            payout_hold_seconds=self.payout_hold_seconds,
            payout_minimum_minor=self.payout_minimum_minor,
            webhook_failing_seconds=self.webhook_failing_seconds,
            webhook_days=self.webhook_days,
            return_seconds=self.return_seconds,
            low_stock_mail_seconds=self.low_stock_mail_seconds,
        )

    def encryption_secrets(self) -> tuple[str, ...]:
        """What keys of encryption are made of: ``ENCRYPTION_KEYS``, then ``SECRET_KEY``; raises SettingError."""
        given = tuple(key.strip() for key in self.encryption_keys.split(",")) if self.encryption_keys else ()
        if any(len(key) < SECRET_BYTES_MIN for key in given):
            raise SettingError(f"ENCRYPTION_KEYS: each key has at least {SECRET_BYTES_MIN} characters")
        return (*given, self.secret_key)

    def sandbox_signer(self) -> Signer | None:
        """Who signs the sandbox's webhooks; None where there is no sandbox. Raises SettingError."""
        if not self.sandbox_webhook_secret:
            return None
        try:
            return Signer(self.sandbox_webhook_secret)
        except ValueError as error:
            raise SettingError(f"SANDBOX_WEBHOOK_SECRET: {error} (see docs/settings.md)") from None

    def carrier_signer(self) -> Signer | None:
        """Who signs what is said of parcels; None where nothing is heard of them. Raises SettingError."""
        if not self.carrier_webhook_secret:
            return None
        try:
            return Signer(self.carrier_webhook_secret)
        except ValueError as error:
            raise SettingError(f"CARRIER_WEBHOOK_SECRET: {error} (see docs/settings.md)") from None

    def worker_lanes(self) -> tuple[Lane, ...]:
        """The lanes this worker serves, from ``LANES``; raises SettingError on an unknown or empty list."""
        names = [name.strip() for name in self.lanes.split(",") if name.strip()]
        unknown = [name for name in names if name not in {lane.value for lane in Lane}]
        if unknown or not names:
            known = ", ".join(lane.value for lane in Lane)
            raise SettingError(f"LANES: {', '.join(unknown) or 'empty'}: choose from {known}")
        return tuple(dict.fromkeys(Lane(name) for name in names))

    def relay(self) -> Relay | None:
        """The mail server of ``MAIL_URL``; None when mail goes to the console. Raises SettingError."""
        try:
            found = relay.relay_of(self.mail_url)
        except ValueError as error:
            raise SettingError(f"MAIL_URL: {error} (see docs/settings.md)") from None
        if found is not None and not (self.mail_from and self.public_url):
            missing = "PUBLIC_URL" if self.mail_from else "MAIL_FROM"
            raise SettingError(f"{missing} is not set: with a mail server in MAIL_URL it has to be")
        return found

    def sender(self) -> Mailbox:
        """Who mails come from, as ``MAIL_FROM`` says; raises SettingError."""
        try:
            return relay.sender_of(self.mail_from) if self.mail_from else LOCAL_SENDER
        except ValueError as error:
            raise SettingError(f"MAIL_FROM: {error} (see docs/settings.md)") from None

    def link_base(self) -> str:
        """What links in mails begin with, as ``PUBLIC_URL`` says; raises SettingError."""
        try:
            return relay.base_of(self.public_url or LOCAL_FRONT_END)
        except ValueError as error:
            raise SettingError(f"PUBLIC_URL: {error} (see docs/settings.md)") from None

    def api_base(self) -> str:
        """What links begin with that the api answers itself, as ``API_URL`` says; raises SettingError."""
        try:
            return relay.base_of(self.api_url) if self.api_url else self.link_base()
        except ValueError as error:
            raise SettingError(f"API_URL: {error} (see docs/settings.md)") from None


def read(environment: Mapping[str, str]) -> Settings:
    """Convert environment variables; raises SettingError with one line that names the first bad one."""
    given = {}
    for field in msgspec.structs.fields(Settings):
        value = environment.get(field.encode_name, "")
        if value:
            given[field.encode_name] = value
        elif field.required:
            raise SettingError(f"{field.encode_name} is not set (see docs/settings.md)")
        if value:
            _convert_one(field.encode_name, field.type, value)
    settings = msgspec.convert(given, Settings, strict=False)
    checks = (
        settings.worker_lanes,
        settings.sandbox_signer,
        settings.carrier_signer,
        settings.encryption_secrets,
        settings.relay,
        settings.sender,
        settings.link_base,
        settings.api_base,
    )
    for check in checks:
        check()
    if settings.stripe_secret_key and not (settings.stripe_webhook_secret and settings.public_url):
        missing = "PUBLIC_URL" if settings.stripe_webhook_secret else "STRIPE_WEBHOOK_SECRET"
        raise SettingError(f"{missing} is not set: with STRIPE_SECRET_KEY it has to be")
    if settings.page_size > settings.page_size_max:
        raise SettingError("PAGE_SIZE is larger than PAGE_SIZE_MAX")
    if settings.reservation_seconds > settings.reservation_seconds_max:
        raise SettingError("RESERVATION_SECONDS is larger than RESERVATION_SECONDS_MAX")
    if settings.api_key_days > settings.api_key_days_max:
        raise SettingError("API_KEY_DAYS is larger than API_KEY_DAYS_MAX")
    return settings


def _convert_one(name: str, kind: object, value: str) -> None:
    try:
        msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError as error:
        # The value itself may be a secret: it is never shown.
        raise SettingError(f"{name}: {error} (see docs/settings.md)") from None


def load() -> Settings:
    """Read this process's settings, or end it with one line on stderr and status 78 (EX_CONFIG)."""
    try:
        return read(os.environ)
    except SettingError as error:
        end(error)


def end(error: SettingError) -> NoReturn:
    """End this process because of a setting: one line on stderr, status 78 (EX_CONFIG)."""
    sys.stderr.write(f"ordermill: {' '.join(str(error).split())}\n")
    raise SystemExit(78) from None
