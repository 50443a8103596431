"""The public halves of the keys that sign our tokens, for others who verify them."""

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, Router, get
from litestar.openapi.datastructures import ResponseSpec
from msgspec import Struct

from api.access import anyone
from api.context import edge_of, encode

CACHE_SECONDS = 300
"""How long others may keep the list; who meets a key that isn't on it fetches it anew."""


class KeySet(Struct, frozen=True):
    """A JWK Set (RFC 7517). Empty where tokens are signed with a shared secret."""

    keys: list[Mapping[str, str]]


@get(
    "/.well-known/jwks.json",
    operation_id="list_signing_keys",
    opt=anyone(limited=False),
    summary="List the public signing keys",
    responses={200: ResponseSpec(KeySet, generate_examples=False)},
)
async def list_signing_keys(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Answer with the keys as they are now."""
    tokens = edge_of(request.app.state).tokens
    tokens.look()
    return Response(
        encode(KeySet(tokens.keys.published())),
        media_type="application/json",
        headers={"Cache-Control": f"public, max-age={CACHE_SECONDS}"},
    )


router = Router(path="/", route_handlers=[list_signing_keys], tags=["accounts"])
