"""Look at mails as people get them, with made-up contents."""

import click
from msgspec import Struct

from domain.accounts.model import Language
from infra.mail import ConsoleMailer, Post
from infra.mail_samples import KINDS, sample
from infra.relay import Mailbox
from ops.output import Output, json_option

POST = Post(
    ConsoleMailer(),
    Mailbox("no-reply@shop.example", "shop.example", "The Shop"),
    "https://shop.example",
    "a key that signs links of previews alone",
    api_base="https://shop.example",
)


class Previewed(Struct, frozen=True):
    """A mail: its headers and its two parts."""

    kind: str
    language: Language
    headers: dict[str, str]
    text: str
    html: str


@click.group("mails", help=__doc__)
def command() -> None:
    """Group what is about mails."""


@command.command("preview", help="Write what a kind of mail looks like: its headers and its text, or its HTML.")
@click.argument("kind", type=click.Choice(sorted(KINDS)))
@click.option(
    "--language", type=click.Choice([language.value for language in Language]), default="en", show_default=True
)
@click.option("--html", "as_html", is_flag=True, help="The HTML part alone, for a browser.")
@json_option
def preview(kind: str, language: str, as_html: bool, output: Output) -> None:  # noqa: FBT001 - click's
    """Show a mail, written as it is for people but for the contents."""
    message = sample(kind, POST, Language(language))
    text, html = (str(part.get_content()) for part in message.iter_parts())
    headers = {name: str(value) for name, value in message.items() if not name.startswith(("MIME", "Content"))}
    if as_html:
        output.say(html)
    else:
        output.say("\n".join(f"{name}: {value}" for name, value in headers.items()) + f"\n\n{text}")
    output.result(Previewed(kind, Language(language), headers, text, html))
