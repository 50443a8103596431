"""What a route does about rate limits. Most need nothing: asking who somebody is (``api.access``) counts the request.

A route that tells who somebody is, or makes accounts or sends mail for anybody, is counted strictly: it has
``guards=[strict]``. One that checks a password begins an attempt and tells how it ended:

    attempt = await attempt_at(request, email)
    if not await verify(password, account):
        await attempt.failed()
        raise …
    await attempt.succeeded()
"""

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from api.context import edge_of
from api.rates import Attempt
from domain.accounts.email import email_key


async def strict(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Count a request against its address; a guard of routes. Raises a problem of status 429."""
    await edge_of(connection.app.state).rates.admit_strictly(connection.scope)


async def count_about(request: Request[Any, Any, Any], email: str) -> None:
    """Count a request against the account it is about, known by its e-mail address; raises 429.

    For routes that check no password: anybody may use them about anybody.
    """
    await edge_of(request.app.state).rates.admit_about(request.scope, email_key(email))


async def attempt_at(request: Request[Any, Any, Any], email: str) -> Attempt:
    """Begin to check a password of an account, known by its e-mail address; raises 429 while attempts have to wait.

    Counts the request against the account, as :func:`count_about` does.
    """
    return await edge_of(request.app.state).rates.attempt(request.scope, email_key(email))


async def vouch_for(request: Request[Any, Any, Any], email: str) -> None:
    """Let the owner of an account in from this address, whoever failed there: a link that was mailed brought them."""
    await edge_of(request.app.state).rates.vouch(request.scope, email_key(email))
