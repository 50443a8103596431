"""Make a file of signing keys, or put a new key first in one."""

from pathlib import Path

import click
from msgspec import Struct

from infra import signing
from ops.output import CommandError, Output, json_option


class Added(Struct, frozen=True):
    """The new key's id and algorithm, and the ids of all keys in the file, the signing one first."""

    kid: str
    algorithm: str
    kids: list[str]


@click.command("signing-keys", help=__doc__)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--algorithm",
    type=click.Choice(signing.ALGORITHMS),
    default=signing.ALGORITHMS[0],
    show_default=True,
    help="What the new key signs with; all but HS256 are published.",
)
@click.option(
    "--keep",
    type=click.IntRange(1, 20),
    default=3,
    show_default=True,
    help="How many keys stay, the new one among them; tokens of the others end at once.",
)
@json_option
def command(file: Path, algorithm: str, keep: int, output: Output) -> None:
    """Change the file that SIGNING_KEYS_FILE names; running processes take the change up within 5 s."""
    if not file.absolute().parent.is_dir():
        raise CommandError(f"{file.absolute().parent} is not a folder")
    try:
        keys = signing.add(file, algorithm, keep=keep)
    except signing.KeySetError as error:
        raise CommandError(f"{file}: {error}") from None
    except OSError as error:
        raise CommandError(f"{file} can't be written: {error.strerror}") from None
    output.say(f"{keys.signing.kid} signs from now on ({keys.signing.algorithm}); {len(keys.by_id)} in {file}")
    output.result(Added(keys.signing.kid, keys.signing.algorithm, list(keys.by_id)))
