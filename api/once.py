"""Routes that answer at once and heed ``Idempotency-Key``: ``post``, ``put``, ``patch``, ``delete``.

Invariant: what a handler writes, the key it came with and its answer are committed in one transaction. So a request
that is repeated is carried out once and answered the same, whenever a process dies and however many ask at once. A
refusal changes nothing and isn't kept: the request is decided again.

Handlers know nothing of it. They do all their writing in ``api.answers.transaction``, which is then this one's, and
ring by ``api.submission``, where commands have their keys. ``POST /auth/...`` heeds none: it takes or tells what proves
who somebody is.

Answers are kept sealed: some hold a secret that is shown once. The key of the seal is made of a secret of ours and of
the client's key, of which only a hash is stored. The fingerprint of a request is a mark under the same seal: what it
was made of could be guessed otherwise.
"""

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any, Self

import msgspec
from litestar import Request, Response
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.types import AsyncAnyCallable
from msgspec import Struct

from api.access import PRINCIPAL, authorise
from api.answers import transaction
from api.context import HELD, Edge, Held, edge_of, field
from api.decode import BODY, SAID, read_body
from api.problems import key_reused
from api.submission import key_of
from domain.journal.answers_sql import KeptAnswer, keep_answers, load_answers, lock_keys
from domain.journal.keys import digest
from infra.encryption import TwoKeySeal

Handle = Callable[[], Awaitable[Response[Any]]]
Seals = dict[bytes, TwoKeySeal]
"""By the mark of the request under each; the first seals, all of them open."""


class Kept(Struct, frozen=True, array_like=True):
    """An answer as it is kept."""

    status: int | None
    media_type: str | None
    headers: dict[str, str]
    body: bytes


def _heeding(fn: AsyncAnyCallable) -> AsyncAnyCallable:
    @wraps(fn)
    async def heed(**named: Any) -> Any:
        request: Request[Any, Any, Any] = named["request"]
        if field(request, b"idempotency-key") is None:
            return await fn(**named)
        return await _once(request, partial(fn, **named))

    return heed


async def _once(request: Request[Any, Any, Any], handle: Handle) -> Response[Any]:
    """Carry a request out, or answer as when that was done under its key; raises 422 for another request's key."""
    scope: Any = request.scope
    edge = edge_of(request.app.state)
    principal = scope[PRINCIPAL] = await authorise(request)
    text = (key_of(request, edge) or "").encode()
    seals = _seals(edge, principal.id.bytes + text, await _said(request, edge))
    key = (principal.id, digest(text))
    bells: set[tuple[str, str]] = set()
    async with transaction(request) as conn:
        await lock_keys(conn, [key])
        found = (await load_answers(conn, [key])).get(key)
        if found is not None:
            return _again(found, seals)
        scope[HELD] = Held(conn, bells)
        try:
            response = await handle()
        finally:
            del scope[HELD]
        mark, seal = next(iter(seals.items()))
        if not await keep_answers(conn, [(key, mark, seal.seal(_packed(response), mark))]):
            raise key_reused()
    edge.ring(bells)
    return response


async def _said(request: Request[Any, Any, Any], edge: Edge) -> bytes:
    """What a request asks for, however its body is written: operation, path, body, and the versions it is meant for."""
    scope: Any = request.scope
    body = b""
    if BODY in request.route_handler.opt:
        body = scope[SAID] = await read_body(request, edge.settings.body_bytes_max)
    operation = f"{scope['method']} {scope['path_template']}"
    versions = field(request, b"if-match") or ""
    return digest(operation.encode(), scope["path"].encode(), _rewritten(body), versions.encode())


def _rewritten(body: bytes) -> bytes:
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        # The handler says what is wrong with it, or that there is none.
        return body


def _seals(edge: Edge, theirs: bytes, said: bytes) -> Seals:
    seals = (TwoKeySeal(secret, theirs) for secret in edge.settings.encryption_secrets())
    return {seal.mark(said): seal for seal in seals}


def _packed(response: Response[Any]) -> bytes:
    media_type = None if response.media_type is None else str(response.media_type)
    kept = Kept(response.status_code, media_type, dict(response.headers), response.content or b"")
    return msgspec.msgpack.encode(kept)


def _again(found: KeptAnswer, seals: Seals) -> Response[Any]:
    seal = seals.get(found.fingerprint)
    if found.answer is None or seal is None:
        raise key_reused()
    kept = msgspec.msgpack.decode(seal.open(found.answer, found.fingerprint), type=Kept)
    headers = kept.headers | {"Idempotent-Replayed": "true"}
    return Response(kept.body or None, status_code=kept.status, media_type=kept.media_type, headers=headers)


class Once(HTTPRouteHandler):
    """A route that carries out a request with a key once."""

    def __call__(self, fn: AsyncAnyCallable) -> Self:
        """Take the handler, as the framework's decorators do."""
        super().__call__(_heeding(fn))
        return self


post = partial(Once, http_method=HttpMethod.POST)
put = partial(Once, http_method=HttpMethod.PUT)
patch = partial(Once, http_method=HttpMethod.PATCH)
delete = partial(Once, http_method=HttpMethod.DELETE)
