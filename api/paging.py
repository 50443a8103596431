"""Keyset pages: ``?limit=&cursor=`` in, ``{"items", "next_cursor"}`` out. A cursor is opaque to clients.

Invariant: every list is cut here. One item more than a page holds is read, which tells whether there is a next page
without counting; the cursor names the last item shown, so what is added or removed meanwhile moves nothing.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar, cast
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.params import QueryParameter
from msgspec import Struct

from api.answers import answer
from api.context import edge_of
from api.problems import refuse
from domain.rejections import Code
from infra.settings import PAGE_SIZE_CEILING, Settings

LAST = UUID(int=(1 << 128) - 1)
Limit = Annotated[
    int | None,
    QueryParameter(
        name="limit",
        description="how many items a page has at most; a deployment allows up to PAGE_SIZE_MAX",
        schema_extra={"minimum": 1, "maximum": PAGE_SIZE_CEILING},
    ),
]
"""The parameter that says how many items a page has."""

Cursor = Annotated[str | None, QueryParameter(name="cursor", max_length=100)]
"""The parameter that says where to go on in a list by ids."""

LongCursor = Annotated[str | None, QueryParameter(name="cursor", max_length=2_000)]
"""The parameter that says where to go on in a list by other things, such as names."""


T = TypeVar("T")
V = TypeVar("V")
K = TypeVar("K", bound=UUID | Struct)
Read = Callable[[Any, K | None, int], Awaitable[Sequence[T]]]
"""From a connection, the key to go on after (None: from the beginning) and how many to read at most."""


class Page(Struct, Generic[V], frozen=True):
    """A page of items; ``next_cursor`` is null on the last one."""

    items: list[V]
    next_cursor: str | None


async def paged(
    request: Request[Any, Any, Any],
    page: Callable[[list[V], str | None], Page[V]],
    limit: int | None,
    cursor: str | None,
    *,
    kind: type[K],
    read: Read[K, T],
    key_of: Callable[[T], K],
    show: Callable[[Any, list[T]], Awaitable[list[V]]] | None = None,
) -> Response[bytes]:
    """Answer with a page of what ``read`` finds; raises problems of status 400 for a bad limit or cursor.

    ``kind`` is what the list is sorted by: ids, or an array-like Struct whose numbers have bounds, because anybody can
    write a cursor. ``show`` turns what was found into items, where these are more than that.
    """
    edge = edge_of(request.app.state)
    size, after = size_of(limit, edge.settings), _decode(cursor, kind)
    async with edge.pool.acquire(timeout=2) as conn:
        found = await read(conn, after, size + 1)
        shown = list(found[:size])
        items: list[Any] = shown if show is None else await show(conn, shown)
    return answer(page(items, _encode(key_of(shown[-1])) if len(found) > size else None))


async def newest_first(
    request: Request[Any, Any, Any],
    page: type[Page[V]],
    limit: int | None,
    cursor: str | None,
    read: Callable[..., Awaitable[Sequence[V]]],
) -> Response[bytes]:
    """Answer with a page of things by their ids, the greatest first.

    ``read`` takes a connection, ``below`` (the id to stay below) and ``limit``.
    """

    def read_below(conn: Any, after: UUID | None, count: int) -> Awaitable[Sequence[V]]:
        return read(conn, below=after or LAST, limit=count)

    return await paged(request, page, limit, cursor, kind=UUID, read=read_below, key_of=attrgetter("id"))


def _encode(key: UUID | Struct) -> str:
    raw = key.bytes if isinstance(key, UUID) else msgspec.json.encode(key)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(cursor: str | None, kind: type[K]) -> K | None:
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        key = cast("K", UUID(bytes=raw)) if kind is UUID else msgspec.json.decode(raw, type=kind)
    except ValueError:
        raise _not_ours() from None
    # PostgreSQL takes no U+0000, so no key of ours holds one.
    if _encode(key) != cursor or any("\0" in str(value) for value in msgspec.to_builtins(key)):
        raise _not_ours()
    return key


def _not_ours() -> Exception:
    return refuse(400, Code.INVALID_REQUEST, "this is not a cursor of ours", "cursor")


def size_of(limit: int | None, settings: Settings) -> int:
    """How many items a page has; raises a problem of status 400 for a bad limit."""
    if limit is None:
        return settings.page_size
    if not 1 <= limit <= settings.page_size_max:
        raise refuse(400, Code.INVALID_REQUEST, f"limit is 1 to {settings.page_size_max}", "limit")
    return limit
