"""Who may use a route: declared beside it, checked in one place.

Invariant: every route says who may use it, by ``allow`` or ``anyone`` among its options; a test holds them all against
``docs/access.md``. A missing role or scope is a 403; a thing that isn't yours is a 404 and is the handler's to tell.
"""

from typing import Any

from litestar import Request
from msgspec import Struct

from api.context import Edge, edge_of, field
from api.problems import ProblemError, refuse
from domain.accounts.model import Role, Scope
from domain.rejections import Code
from infra.api_keys import PREFIX
from infra.security import BadTokenError, Principal

ACCESS = "access"
"""The option of a handler that says who may use it."""
PRINCIPAL = "principal"
"""Where a request's scope keeps who asks, when that was looked at before its handler."""


class Access(Struct, frozen=True):
    """Who may use a route: those who have one of the roles; anybody where there are none.

    ``scope`` is what an API key needs besides; without one, no API key will do. Where ``limited``, requests are counted
    (``api.limits``); what watches over us or is the same for everybody isn't.
    """

    roles: frozenset[Role]
    scope: Scope | None = None
    limited: bool = True


def allow(*roles: Role, scope: Scope | None = None) -> dict[str, Any]:
    """Declare a route for principals with one of the roles; for API keys, too, if they have the scope."""
    return {ACCESS: Access(frozenset(roles), scope)}


def anyone(scope: Scope | None = None, *, limited: bool = True) -> dict[str, Any]:
    """Declare a route that needs no token; who sends one may see more.

    Its handler asks who it is all the same (``visitor``), if only to have the request counted.
    """
    return {ACCESS: Access(frozenset(), scope, limited)}


def signed_in(*, scope: Scope | None = None) -> dict[str, Any]:
    """Declare a route for everyone who has an account."""
    return allow(Role.BUYER, Role.SELLER, Role.ADMIN, scope=scope)


async def authorise(request: Request[Any, Any, Any]) -> Principal:
    """Who asks, if the route is theirs to use; raises 401 or 403. A request is looked at, and counted, once."""
    scope: Any = request.scope
    known: Principal | None = scope.get(PRINCIPAL)
    if known is not None:
        return known
    principal = await visitor(request)
    if principal is None:
        raise refuse(401, Code.UNAUTHENTICATED, "send a bearer token")
    return principal


async def visitor(request: Request[Any, Any, Any]) -> Principal | None:
    """Who asks, None without a token.

    Raises 401 for a token that can't be believed, 403 for one that won't do, and 429 for one request too many: of this
    principal, or of this address where there is none.
    """
    edge = edge_of(request.app.state)
    header = field(request, b"authorization")
    if header is None:
        edge.rates.admit(request.scope, None)
        return None
    try:
        principal = await _believed(edge, header)
    except ProblemError:
        edge.rates.admit(request.scope, None)
        raise
    edge.rates.admit(request.scope, principal)
    _check(request.route_handler.opt[ACCESS], principal)
    return principal


async def _believed(edge: Edge, header: str) -> Principal:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise refuse(401, Code.UNAUTHENTICATED, "send a bearer token")
    await edge.freshness.ensure()
    try:
        return await edge.api_keys.verify(token) if token.startswith(PREFIX) else principal_of(edge, token)
    except BadTokenError as error:
        raise _invalid(str(error)) from None


def principal_of(edge: Edge, token: str) -> Principal:
    """Whom a token is for; raises BadTokenError. Revocations have to be known (``Freshness.ensure``)."""
    principal = edge.tokens.verify(token)
    revoked = edge.freshness.is_revoked
    if revoked(principal.id, principal.epoch) or (principal.session is not None and revoked(principal.session, 0)):
        raise BadTokenError("the token was revoked: sign in again")
    return principal


def _check(access: Access, principal: Principal) -> None:
    if access.roles and not principal.roles & access.roles:
        wanted = " or ".join(role.value for role in Role if role in access.roles)
        raise refuse(403, Code.FORBIDDEN, f"this needs the role {wanted}")
    if principal.scopes is not None and access.scope not in principal.scopes:
        wanted = "no API key may do this" if access.scope is None else f"this needs the scope {access.scope.value}"
        raise refuse(403, Code.FORBIDDEN, wanted)


def _invalid(detail: str) -> Exception:
    return refuse(401, Code.UNAUTHENTICATED, detail, WWW_Authenticate='Bearer error="invalid_token"')
