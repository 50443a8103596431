"""Keyset pages: ``?limit=&cursor=`` in, ``{"items", "next_cursor"}`` out. A cursor is opaque to clients."""

import base64
import binascii
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from msgspec import Struct

from api.problems import refuse
from domain.rejections import Code
from infra.settings import PAGE_SIZE_CEILING, Settings

K = TypeVar("K", bound=Struct)
LAST = UUID(int=(1 << 128) - 1)
CURSOR_LENGTH_MAX = 2_000
Limit = Annotated[
    int | None,
    QueryParameter(
        name="limit",
        description="how many items a page has at most; a deployment allows up to PAGE_SIZE_MAX",
        schema_extra={"minimum": 1, "maximum": PAGE_SIZE_CEILING},
    ),
]
"""The parameter that says how many items a page has; hold it against the deployment's limit with ``page_limit``."""


class Page(Struct, frozen=True):
    """A page of items, newest first; ``next_cursor`` is null on the last one."""

    items: list[msgspec.Raw]
    next_cursor: str | None


def encode_cursor(last: UUID) -> str:
    """Name the place after an id."""
    return _encode(last.bytes)


def decode_cursor(cursor: str | None) -> UUID:
    """The id to continue below; raises a problem of status 400."""
    if cursor is None:
        return LAST
    raw = _decode(cursor)
    if len(raw) != 16:
        raise _not_ours()
    return UUID(bytes=raw)


def encode_key(last: Struct) -> str:
    """Name the place after an item by what a page is sorted by."""
    return _encode(msgspec.json.encode(last))


def decode_key(cursor: str | None, kind: type[K]) -> K | None:
    """The sort key to go on after, None for the first page; raises a problem of status 400.

    ``kind`` is an array-like Struct whose numbers have bounds: anybody can write a cursor.
    """
    if cursor is None:
        return None
    try:
        key = msgspec.json.decode(_decode(cursor), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _not_ours() from None
    # PostgreSQL takes no U+0000, so no key of ours holds one.
    texts = [value for value in msgspec.to_builtins(key) if isinstance(value, str)]
    if encode_key(key) != cursor or any("\0" in text for text in texts):
        raise _not_ours()
    return key


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(cursor: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (ValueError, binascii.Error):
        raise _not_ours() from None
    if _encode(raw) != cursor:
        raise _not_ours()
    return raw


def _not_ours() -> Exception:
    return refuse(400, Code.INVALID_REQUEST, "this is not a cursor of ours", "cursor")


def page_limit(limit: int | None, settings: Settings) -> int:
    """How many items a page has; raises a problem of status 400 when out of bounds."""
    if limit is None:
        return settings.page_size
    if not 1 <= limit <= settings.page_size_max:
        raise refuse(400, Code.INVALID_REQUEST, f"limit is 1 to {settings.page_size_max}", "limit")
    return limit
