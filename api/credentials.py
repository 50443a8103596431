"""Credentials at the edge: what an address and a password must be, and how one is checked without telling anything."""

import hashlib
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request

from api.address import source_of
from api.context import Edge, edge_of, field
from api.problems import ProblemError, refuse
from api.submission import command_of
from domain.accounts import account_sql, session_sql
from domain.accounts.email import email_key, fault_of
from domain.accounts.mail import MailKind, SendAccountMail
from domain.accounts.model import Account
from domain.journal.model import Event
from domain.journal.sql import insert_commands, insert_events
from domain.rejections import Code
from infra.passwords import TooBusyError

CLIENT_LENGTH_MAX = 200


def check_email(address: str, path: str = "email") -> None:
    """Raise a problem of status 400 unless an address is one."""
    fault = fault_of(address)
    if fault is not None:
        raise refuse(400, Code.INVALID_REQUEST, fault, path)


def check_password(edge: Edge, password: str, email: str, path: str = "password") -> None:
    """Raise a problem of status 400 for a password that is too easy (NIST SP 800-63B: length, not composition)."""
    shortest = edge.settings.password_length_min
    if len(password) < shortest:
        raise refuse(400, Code.WEAK_PASSWORD, f"a password has at least {shortest} characters", path)
    key = email_key(email)
    if email and email_key(password) in {key, key.rpartition("@")[0]}:
        raise refuse(400, Code.WEAK_PASSWORD, "the e-mail address is no password", path)


async def hashed(edge: Edge, password: str) -> str:
    """Hash a new password; raises a problem of status 503 when too many wait."""
    try:
        return await edge.passwords.hash(password)
    except TooBusyError:
        raise _busy() from None


async def is_right(edge: Edge, password: str, account: Account | None) -> bool:
    """Whether a password is the account's; it takes as long when there is no account."""
    try:
        return await edge.passwords.check(password, None if account is None else account.password_hash)
    except TooBusyError:
        raise _busy() from None


def _busy() -> ProblemError:
    return refuse(503, Code.OVERLOADED, "too many passwords wait to be checked; try again", Retry_After="1")


def suspended() -> ProblemError:
    """The refusal of who has the right credentials of a suspended account."""
    return refuse(403, Code.ACCOUNT_SUSPENDED, "this account is suspended")


def digest_of(token: str) -> bytes:
    """What is stored of a random token: it has 256 bits, so a plain hash can't be turned back."""
    return hashlib.sha256(token.encode()).digest()


def client_of(request: Request[Any, Any, Any]) -> tuple[str, str]:
    """The address and the software a request comes from, as a session remembers them."""
    source = source_of(request.scope, edge_of(request.app.state).settings.trusted_proxies)
    agent = (field(request, b"user-agent") or "")[:CLIENT_LENGTH_MAX]
    return source.address, "".join(c for c in agent if c.isprintable())


def session_event(session_id: UUID, kind: str, account_id: UUID, actor: UUID, correlation: str) -> Event:
    """An event of a session: it is opened once and revoked once."""
    version = 1 if kind == "session.opened" else 2
    data = msgspec.json.encode({"account_id": account_id}).decode()
    return Event(session_id, version, kind, data, actor, correlation)


async def set_password(
    conn: Any, account_id: UUID, password_hash: str, correlation: str, *, verified: bool, keep: UUID | None = None
) -> SendAccountMail:
    """Set a password, end the account's sessions but ``keep``, and have its owner told; ring for the mail after."""
    await account_sql.lock_accounts(conn, [account_id])
    version = await conn.fetchval(account_sql.SET_HASH, account_id, password_hash, verified)
    if keep is None:
        await account_sql.revoke_accounts(conn, [account_id])
    ended = await session_sql.revoke_all_sessions(conn, account_id, but=keep)
    account = (await account_sql.load_accounts(conn, [account_id]))[account_id]
    mail = SendAccountMail(MailKind.PASSWORD_CHANGED, account.email, language=account.language)
    await insert_commands(conn, [command_of(mail, correlation)])
    events = [Event(account_id, version, "account.password_changed", "{}", account_id, correlation)]
    events += [session_event(s, "session.revoked", account_id, account_id, correlation) for s in ended]
    await insert_events(conn, events)
    return mail
