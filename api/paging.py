"""Keyset pages: ``?limit=&cursor=`` in, ``{"items", "next_cursor"}`` out. A cursor is opaque to clients."""

import base64
import binascii
from uuid import UUID

import msgspec
from msgspec import Struct

from api.problems import refuse
from domain.rejections import Code
from infra.settings import Settings

LAST = UUID(int=(1 << 128) - 1)


class Page(Struct, frozen=True):
    """A page of items, newest first; ``next_cursor`` is null on the last one."""

    items: list[msgspec.Raw]
    next_cursor: str | None


def encode_cursor(last: UUID) -> str:
    """Name the place after an id."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> UUID:
    """The id to continue below; raises a problem of status 400."""
    if cursor is None:
        return LAST
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        if len(raw) != 16 or encode_cursor(UUID(bytes=raw)) != cursor:
            raise ValueError
    except (ValueError, binascii.Error):
        raise refuse(400, Code.INVALID_REQUEST, "this is not a cursor of ours", "cursor") from None
    return UUID(bytes=raw)


def page_limit(limit: int | None, settings: Settings) -> int:
    """How many items a page has; raises a problem of status 400 when out of bounds."""
    if limit is None:
        return settings.page_size
    if not 1 <= limit <= settings.page_size_max:
        raise refuse(400, Code.INVALID_REQUEST, f"limit is 1 to {settings.page_size_max}", "limit")
    return limit
