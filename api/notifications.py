"""What mails somebody wants: their switches, and the link in each mail that turns one off.

Invariant: the link does no more than switch one kind of mail off for the one who got it, needs no log-in, and only a
POST does it: mail programs and scanners open links.
"""

from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from api import once
from api.access import allow, anyone, authorise
from api.answers import answer, expected, transaction
from api.context import Edge, edge_of
from api.decode import body_of, read_body
from api.openapi import PROBLEMS, request_body
from api.problems import ProblemError, refuse
from api.submission import correlation_of
from domain.accounts.model import Language, Purpose, Role
from domain.connection import Connection
from domain.ids import named
from domain.journal.sql import insert_events
from domain.notifications import preference_sql as sql
from domain.notifications.model import NEEDED, Audience, NotificationKind
from domain.notifications.preference_sql import Preference, PreferenceChanged
from domain.notifications.telling import TELLS
from domain.rejections import Code
from infra import onetime
from infra.wording import page

HTML = "text/html"
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
PEOPLE = allow(Role.BUYER, Role.GUEST, Role.SELLER, Role.ADMIN)


class Switches(Struct, frozen=True, forbid_unknown_fields=True):
    """Which kinds are sent by mail. A kind that isn't named is."""

    email: Annotated[dict[NotificationKind, bool], Meta(max_length=50)]


class KindView(Struct, frozen=True):
    """A kind of mail, as what one gets it, and whether it is sent. One that is ``needed`` can't be switched off."""

    kind: NotificationKind
    to: list[Audience]
    email: bool
    needed: bool


class SwitchesView(Struct, frozen=True):
    """Every kind of mail, with whether it is sent to who asks."""

    kinds: list[KindView]
    version: int


def view(preference: Preference) -> SwitchesView:
    """Switches as their owner sees them."""
    kinds = []
    for kind in NotificationKind:
        audiences = {audience for told in TELLS.values() for audience, each in told if each is kind}
        sent = kind in NEEDED or kind not in preference.switched_off
        kinds.append(KindView(kind, sorted(audiences), sent, kind in NEEDED))
    return SwitchesView(kinds, preference.version)


@get(
    "/auth/notifications",
    operation_id="get_mail_switches",
    summary="List the kinds of mail, and which of them one gets",
    opt=PEOPLE,
    responses={200: ResponseSpec(SwitchesView, generate_examples=False), **PROBLEMS(401, 403, 503)},
)
async def get_mail_switches(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show what is switched on; all that was never switched off is."""
    edge = edge_of(request.app.state)
    principal = await authorise(request)
    async with edge.pool.acquire(timeout=2) as conn:
        preference = await sql.load_preference(conn, principal.id)
    return answer(view(preference), version=preference.version)


@once.put(
    "/auth/notifications",
    operation_id="put_mail_switches",
    summary="Say which kinds of mail one wants",
    opt=PEOPLE | request_body(Switches, required=True),
    responses={
        200: ResponseSpec(SwitchesView, generate_examples=False),
        **PROBLEMS(400, 401, 403, 412, 413, 415, 503),
    },
)
async def put_mail_switches(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Set all switches anew. What has to be told in writing can't be switched off (docs/notifications.md)."""
    principal = await authorise(request)
    wish, version = await body_of(request, Switches), expected(request)
    for kind in NotificationKind:
        if kind in NEEDED and not wish.email.get(kind, True):
            raise refuse(400, Code.INVALID_REQUEST, "this kind of mail can't be switched off", f"email.{kind.value}")
    off = frozenset(kind for kind, sent in wish.email.items() if not sent)
    async with transaction(request) as conn:
        version.check((await sql.lock_preference(conn, principal.id)).version)
        preference = await _save(conn, principal.id, off, request, add=False)
    return answer(view(preference), version=preference.version)


Token = Annotated[str, QueryParameter(name="token", description="from the mail", max_length=onetime.TOKEN_LENGTH)]


@get(
    "/mails/unsubscribe",
    operation_id="show_unsubscribe",
    summary="Ask whether a kind of mail is to be switched off",
    opt=anyone(),
    responses={200: ResponseSpec(str, media_type=HTML, description="a page with a button"), **PROBLEMS(400, 503)},
)
async def show_unsubscribe(request: Request[Any, Any, Any], token: Token = "") -> Response[str]:
    """Show a page whose button switches off the kind of mail that the link stood in; by itself it changes nothing."""
    edge = edge_of(request.app.state)
    edge.rates.admit(request.scope, None)
    notification = _named(edge, token)
    async with edge.pool.acquire(timeout=2) as conn:
        found = await sql.find_told(conn, notification)
    if found is None:
        raise _no_good()
    return _page(edge, found.language, done=False)


@post(
    "/mails/unsubscribe",
    status_code=200,
    operation_id="unsubscribe",
    summary="Switch off a kind of mail with the token of a link",
    opt=anyone(),
    responses={200: ResponseSpec(str, media_type=HTML, description="switched off"), **PROBLEMS(400, 413, 503)},
)
async def unsubscribe(request: Request[Any, Any, Any], token: Token = "") -> Response[str]:
    """Switch it off: mail programs send this by one click (RFC 8058), and so does the page's button."""
    edge = edge_of(request.app.state)
    edge.rates.admit(request.scope, None)
    notification = _named(edge, token)
    # What it says is the same each time, List-Unsubscribe=One-Click, and nothing depends on it.
    await read_body(request, edge.settings.body_bytes_max)
    async with transaction(request) as conn:
        found = await sql.find_told(conn, notification)
        if found is None or found.kind in NEEDED:
            raise _no_good()
        await sql.lock_preference(conn, found.recipient)
        await _save(conn, found.recipient, frozenset({found.kind}), request, add=True)
    return _page(edge, found.language, done=True)


async def _save(
    conn: Connection, recipient: UUID, off: frozenset[NotificationKind], request: Request[Any, Any, Any], *, add: bool
) -> Preference:
    """Switch kinds off, besides those that are off or in their place; what changes nothing has no event."""
    before = await sql.load_preference(conn, recipient)
    wanted = before.switched_off | off if add else off
    if wanted == before.switched_off:
        return before
    after = await sql.save_preference(conn, recipient, wanted)
    told = PreferenceChanged(recipient, tuple(sorted(after.switched_off)))
    stream = named(f"mails of {recipient}")
    await insert_events(conn, [told.event(stream, after.version, recipient, correlation_of(request))])
    return after


def _named(edge: Edge, token: str) -> UUID:
    notification = onetime.read(edge.settings.secret_key, Purpose.UNSUBSCRIBE, token)
    if notification is None:
        raise _no_good()
    return notification


def _no_good() -> ProblemError:
    return refuse(400, Code.INVALID_LINK, "this link isn't ours, or what it was about is gone", "token")


def _page(edge: Edge, language: Language | None, *, done: bool) -> Response[str]:
    shown = page("unsubscribe.html", language or edge.settings.mail_language, done=done)
    return Response(shown, media_type=f"{HTML}; charset=utf-8", headers=SECURITY)


router = Router(
    path="/",
    route_handlers=[get_mail_switches, put_mail_switches, show_unsubscribe, unsubscribe],
    tags=["accounts"],
)
