"""Sign a bearer token."""

from pathlib import Path
from uuid import UUID, uuid4

import click
from msgspec import Struct

from domain.accounts.model import Role
from ops import target
from ops.output import CommandError, Output, json_option

SECONDS_MAX = 366 * 86_400


class Signed(Struct, frozen=True):
    """A token and whom it stands for."""

    token: str
    subject: UUID
    roles: list[Role]
    seconds: int


@click.command("token", help=__doc__)
@click.option(
    "--role",
    "roles",
    type=click.Choice([role.value for role in Role], case_sensitive=False),
    multiple=True,
    required=True,
    help="What the subject may be; may be given again.",
)
@click.option("--subject", type=click.UUID, default=None, help="Whom it stands for (default: a new one).")
@click.option(
    "--seconds", type=click.IntRange(1, SECONDS_MAX), default=900, show_default=True, help="How long it is valid."
)
@target.data_option
@json_option
def command(roles: tuple[str, ...], subject: UUID | None, seconds: int, data: Path | None, output: Output) -> None:
    """Print a token alone on its line, so that a shell can take it."""
    from infra.settings import SECRET_BYTES_MIN  # noqa: PLC0415 - see ops.cli

    key = target.find_secret_key(data)
    if len(key) < SECRET_BYTES_MIN:
        raise CommandError(f"SECRET_KEY is shorter than {SECRET_BYTES_MIN} characters")
    granted = sorted({Role(role.upper()) for role in roles})
    signed = Signed(
        token=target.tokens_of(key).sign(subject := subject or uuid4(), frozenset(granted), seconds),
        subject=subject,
        roles=granted,
        seconds=seconds,
    )
    if not output.json:
        output.say(signed.token)
    output.result(signed)
