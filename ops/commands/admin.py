"""Make the first admin's account, or make an admin of an account that is there."""

import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import click
from msgspec import Struct

from domain.accounts.model import PASSWORD_LENGTH_MAX, NewAccount, Role
from ops import target
from ops.output import CommandError, Output, json_option

PASSWORD_LENGTH_MIN = 12
"""An admin's is longer than PASSWORD_LENGTH_MIN asks of everybody."""


class Made(Struct, frozen=True):
    """The admin's account; ``created`` is false for one that was there before."""

    account_id: UUID
    email: str
    roles: list[Role]
    created: bool


@click.group("admin", help=__doc__)
def command() -> None:
    """Accounts that administer."""


@command.command("create")
@click.option("--email", required=True, help="The address to log in with; it counts as verified.")
@click.option("--name", default="", help="The person's name.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input, not from the terminal.")
@click.option("--promote", is_flag=True, help="The address has an account already: add the role, keep its password.")
@target.data_option
@json_option
def create(
    *,
    email: str,
    name: str,
    password_stdin: bool,
    promote: bool,
    data: Path | None,
    output: Output,
) -> None:
    """Make an account with the roles ADMIN and BUYER."""
    from domain.accounts.email import fault_of  # noqa: PLC0415 - help needs none of it

    stack = target.find(data)
    fault = fault_of(email)
    if fault is not None:
        raise CommandError(f"--email: {fault}")
    if len(name) > 200:
        raise CommandError("--name: at most 200 characters")
    password = None if promote else _password(from_stdin=password_stdin)
    made = asyncio.run(_make(stack, email, name, password))
    output.say(f"{made.email} {'is an admin' if made.created else 'is an admin now'}: account {made.account_id}")
    output.result(made)


def _password(*, from_stdin: bool) -> str:
    """Ask twice, or read one line; never from the command line, where others could see it."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        raise CommandError("there is no terminal to ask for the password: send it to --password-stdin")
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        raise CommandError(f"an admin's password has {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters")
    return str(password)


async def _make(stack: target.Target, email: str, name: str, password: str | None) -> Made:
    from domain.accounts import account_sql  # noqa: PLC0415 - see create
    from infra import postgres  # noqa: PLC0415
    from infra.clock import new_id  # noqa: PLC0415
    from infra.passwords import Passwords  # noqa: PLC0415

    async with target.connect(stack) as conn:
        if password is None:
            async with postgres.transaction(conn):
                return await _promote(conn, email)
        passwords = Passwords()
        try:
            password_hash = await passwords.hash(password)
        finally:
            passwords.close()
        roles = frozenset({Role.ADMIN, Role.BUYER})
        account = NewAccount(new_id(), email, name, password_hash, roles, verified=True)
        async with postgres.transaction(conn):
            if not await account_sql.insert_accounts(conn, [account]):
                raise CommandError(f"{email} has an account already: --promote makes an admin of it")
            await _note(conn, account.id, 1, "account.registered", "{}")
    return Made(account.id, email, sorted(roles), created=True)


async def _promote(conn: Any, email: str) -> Made:
    from domain.accounts import account_sql  # noqa: PLC0415 - see create
    from domain.accounts.administration import GIVEN_ROLES  # noqa: PLC0415
    from domain.accounts.email import email_key  # noqa: PLC0415

    account = (await account_sql.load_by_email(conn, [email])).get(email_key(email))
    if account is None:
        raise CommandError(f"{email} has no account: leave --promote out to make one")
    await account_sql.lock_accounts(conn, [account.id])
    account = (await account_sql.load_accounts(conn, [account.id]))[account.id]
    roles = sorted((account.roles & GIVEN_ROLES) | {Role.ADMIN})
    if Role.ADMIN not in account.roles:
        version = await conn.fetchval(account_sql.SET_ROLES, account.id, roles)
        await _note(conn, account.id, version, "account.roles_changed", f'{{"roles": {_json(roles)}}}')
    return Made(account.id, account.email, roles, created=False)


async def _note(conn: Any, account_id: UUID, version: int, kind: str, data: str) -> None:
    from domain.journal.model import SYSTEM, Event  # noqa: PLC0415 - see create
    from domain.journal.sql import insert_events  # noqa: PLC0415

    await insert_events(conn, [Event(account_id, version, kind, data, SYSTEM, "ordermill admin create")])


def _json(value: object) -> str:
    import msgspec  # noqa: PLC0415 - see create

    return msgspec.json.encode(value).decode()
