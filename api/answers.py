"""Answers of synchronous routes: JSON with a version, and the version a client says it has seen.

Invariant: an edit that names a version (``If-Match``) is made on that version or not at all (412). The entity tag is
the thing's version, which every edit raises by one.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from msgspec import Struct

from api.context import HELD, Held, edge_of, encode, field
from api.kept import Read
from api.problems import refuse
from domain.rejections import Code
from infra import postgres

JSON = "application/json"
_TAGS = re.compile(r'^\s*(?:W/)?"[^"]{0,100}"(?:\s*,\s*(?:W/)?"[^"]{0,100}")*\s*$')
_TAG = re.compile(r'(W/)?"([^"]*)"')


class Expected(Struct, frozen=True):
    """The versions a client's edit is meant for; any, without ``If-Match``."""

    tags: frozenset[str] | None

    def check(self, version: int) -> None:
        """Raise a problem of status 412 unless the thing still has an expected version."""
        if self.tags is not None and str(version) not in self.tags:
            detail = f"it was changed meanwhile and is at version {version} now: read it again"
            raise refuse(412, Code.STALE_VERSION, detail, "If-Match", ETag=tag_of(version))


def tag_of(version: int) -> str:
    """A version as an entity tag."""
    return f'"{version}"'


def expected(request: Request[Any, Any, Any]) -> Expected:
    """What ``If-Match`` asks for (RFC 9110 §13.1.1); raises a problem of status 400 when it is malformed."""
    wished = field(request, b"if-match")
    if wished is None or wished.strip() == "*":
        return Expected(None)
    if not _TAGS.match(wished):
        raise refuse(400, Code.INVALID_REQUEST, 'If-Match is a list of entity tags such as "3", or *', "If-Match")
    # Weak tags never match here: two texts of one meaning aren't the same text.
    return Expected(frozenset(tag for weak, tag in _TAG.findall(wished) if not weak))


def answer(
    value: object,
    status: int = 200,
    *,
    version: int | None = None,
    headers: Mapping[str, str] | None = None,
    media_type: str = JSON,
) -> Response[bytes]:
    """Answer with a Struct as JSON; with its version as the entity tag where it has one."""
    tags = {} if version is None else {"ETag": tag_of(version)}
    return Response(encode(value), status_code=status, media_type=media_type, headers={**tags, **(headers or {})})


def kept_answer(read: Read, *, media_type: str = JSON, vary: str = "") -> ASGIResponse:
    """Answer with a kept read, ready to send; with its version as the entity tag where it has one."""
    headers = {"Cache-Control": "no-cache"}
    if read.version:
        headers["ETag"] = tag_of(read.version)
    if vary:
        headers["Vary"] = vary
    return ASGIResponse(body=read.body, media_type=media_type, headers=headers)


def nothing() -> Response[None]:
    """Answer that it is done, without a body."""
    return Response(None, status_code=204)


@asynccontextmanager
async def transaction(request: Request[Any, Any, Any]) -> AsyncIterator[Any]:
    """A connection of the pool inside a short transaction that writes.

    It commits at the end of the block; for a request with an Idempotency-Key, together with the answer that its handler
    returns (``api.once``). So whoever has to look at what was written is told of it by :func:`api.submission.ring`.

    After its commit this process looks for changes before it answers anything else from memory: who edits and then
    reads finds what they wrote, as long as they stay with one process.
    """
    scope: Any = request.scope
    held: Held | None = scope.get(HELD)
    if held is not None:
        yield held.conn
        return
    edge = edge_of(request.app.state)
    try:
        async with edge.pool.acquire(timeout=2) as conn, postgres.transaction(conn):
            yield conn
    finally:
        edge.freshness.doubt()
