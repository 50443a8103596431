"""What never reaches a log or an error report: secrets, and what is about a person.

Invariant: every line goes through here last, whoever wrote it (``infra.telemetry``), exceptions' texts included. What a
key names as secret goes whole; in any other text what looks like a token, a password, an e-mail address or a card's
number is masked. So a line that says too much by mistake still says nothing.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MASK = "[redacted]"
DEPTH_MAX = 8

_SECRET_KEY = re.compile(
    r"passw|secret|token|authori[sz]ation|cookie|api_?key|credential|iban|\bbic\b|card|cvc|cvv|e_?mail|phone|street"
    r"|postal|recipient|payout_details|database_url|redis_url|mail_url|dsn",
    re.IGNORECASE,
)
# What is checked where it comes in (:func:`is_clean`) or made by ourselves: a batch's line has hundreds of them.
_CHECKED = frozenset({"correlation", "correlations", "trace", "traces", "level", "at"})
# Ids, names of ours and small numbers, which most texts are.
_HARMLESS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z_.]{1,40}|[\d.]{1,12}|")
_PLAIN_PATH = re.compile(r"(?:/(?:[a-z.-]{1,40}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{1,12})?)+")

_MASKS = (
    # user:password@ in an address; before addresses of mail, which it looks like.
    (re.compile(r"(?<=://)[^\s/@\"']+@"), f"{MASK}@"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), MASK),
    (re.compile(r"\b(?:omk|whsec|sk|rk|pk)_[A-Za-z0-9_+/=-]{8,}"), MASK),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{4,}", re.IGNORECASE), rf"\1 {MASK}"),
    (
        re.compile(
            r"\b([\w-]*(?:password|passwd|secret|token|authorization|api_?key|signature)[\"']?\s*[=:]\s*[\"']?)"
            r"(?!\[redacted\]|bearer |basic )[^\s\"',;&)}]+",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(r"[^\s@\"'<>()\[\]{}=,;:/|\\]+(?:@|%40)[^\s@\"'<>()\[\]{}=,;:/|\\]+\.[^\s@\"'<>()\[\]{}=,;:/|\\.]+"),
        MASK,
    ),
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")


def is_clean(text: str) -> bool:
    """Whether a text holds nothing that would be masked."""
    return masked(text) == text


def masked(text: str) -> str:
    """A text without what looks secret or personal."""
    if _HARMLESS.fullmatch(text):
        return text
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return _CARD.sub(_mask_card, text)


def masked_path(path: str) -> str:
    """The path of a request without what looks secret or personal: whatever a client put there."""
    return path if _PLAIN_PATH.fullmatch(path) else masked(path)


def _mask_card(found: re.Match[str]) -> str:
    digits = [int(digit) for digit in found[0] if digit.isdigit()]
    # The check digit of ISO/IEC 7812: most other long numbers fail it.
    doubled = [n if place % 2 == 0 else n * 2 - 9 * (n > 4) for place, n in enumerate(reversed(digits))]
    return found[0] if sum(doubled) % 10 else MASK


def redacted(value: Any, depth: int = 0) -> Any:
    """A value without what looks secret or personal; what isn't text, a number or made of such becomes masked text."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return masked(value)
        case _ if depth >= DEPTH_MAX:
            return MASK
        case Mapping():
            return {masked(str(key)): redacted_field(str(key), each, depth + 1) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [redacted(each, depth + 1) for each in value]
        case _:
            return masked(str(value))


@lru_cache(1_000)
def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def redacted_field(key: str, value: Any, depth: int = 0) -> Any:
    """A named value without what looks secret or personal."""
    if key in _CHECKED:
        return value
    if _is_secret(key) and not isinstance(value, bool | int | float | None):
        return MASK
    return redacted(value, depth)


def processor(_logger: Any, _method: str, event: Any) -> Any:
    """For structlog: the last before a line is rendered."""
    return {key: redacted_field(key, value) for key, value in event.items()}


def of_report(event: Any, _hint: Any) -> Any:
    """For Sentry: what it is about to send. Where things happened says nothing; what was said of it may."""
    for thrown in event.get("exception", {}).get("values", ()):
        thrown["value"] = masked(str(thrown.get("value") or ""))
    for part in ("message", "logentry", "extra", "tags", "breadcrumbs"):
        if part in event:
            event[part] = redacted(event[part])
    return event
