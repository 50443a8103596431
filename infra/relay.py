"""Where mail goes and who sends it, as the settings say.

Invariant: what can't be read is refused with a ValueError that shows nothing of it, because a ``MAIL_URL`` holds a
password. A password never goes over a network in clear.
"""

import re
from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from msgspec import Struct

from infra.text import one_line

CONSOLE = "console:"
PORTS = {"implicit": 465, "starttls": 587, "off": 25}
"""Where mail servers listen, by how TLS begins (RFC 8314, RFC 6409, RFC 5321)."""
NAME_LENGTH_MAX = 50
"""A longer name is folded in the header, which Python's email package gets wrong before 3.11.12 (CPython gh-80222)."""

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:.]{2,45}")
_NAMED = re.compile(r'\s*(?:"(?P<quoted>[^"\\<>]*)"|(?P<plain>[^"\\<>]*?))\s*<(?P<address>[^<>]*)>\s*')
_LINK = re.compile(r"[!#$%&'()*+,./:;=?@\[\]_~A-Za-z0-9-]+")


class Mailbox(Struct, frozen=True):
    """An e-mail address in the form in which mail servers get it.

    ``address`` has its domain in ASCII unless ``utf8`` is set: then what stands before the @ isn't ASCII, and only
    a server with SMTPUTF8 (RFC 6531) takes it. ``domain`` is in ASCII always.
    """

    address: str
    domain: str
    name: str = ""
    utf8: bool = False


class Relay(Struct, frozen=True):
    """The mail server that takes our mail. Without a user there is no login."""

    host: str
    port: int
    tls: Literal["implicit", "starttls", "off"]
    user: str = ""
    password: str = ""


def mailbox(text: str) -> Mailbox:
    """Read an e-mail address; raises ValueError."""
    # It takes 70 ms to import, and the command line needs none of it.
    from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email  # noqa: PLC0415

    # Whether a domain takes mail is for the mail server to find out: it may be one of a private network.
    SPECIAL_USE_DOMAIN_NAMES.clear()
    try:
        valid = validate_email(text, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise ValueError("it is not an e-mail address") from None
    return Mailbox(valid.ascii_email or valid.normalized, valid.ascii_domain, utf8=valid.ascii_email is None)


def sender_of(text: str) -> Mailbox:
    """Read ``MAIL_FROM``: an address, or ``Name <address>``; raises ValueError."""
    named = _NAMED.fullmatch(text)
    name = ((named["quoted"] or named["plain"] or "") if named else "").strip()
    if len(name) > NAME_LENGTH_MAX or name != one_line(name):
        raise ValueError(f"its name has to be one line of at most {NAME_LENGTH_MAX} characters")
    found = mailbox(named["address"] if named else text)
    if found.utf8:
        raise ValueError("what stands before the @ has to be ASCII, or few servers take any mail from it")
    return Mailbox(found.address, found.domain, name)


def base_of(text: str) -> str:
    """Read ``PUBLIC_URL``, what links begin with, without a slash at its end; raises ValueError."""
    split = _split(text)
    if split.scheme not in {"http", "https"} or not split.hostname:
        raise ValueError("it has to be http://host or https://host, a path may follow")
    if split.username is not None or split.query or split.fragment or "?" in text or "#" in text:
        raise ValueError("it may have no user, no query and no fragment: links are made by adding to it")
    if not _LINK.fullmatch(text):
        raise ValueError("it has characters that a link may not have unescaped")
    return text.rstrip("/")


def relay_of(url: str) -> Relay | None:
    """Read ``MAIL_URL``; None stands for the console. Raises ValueError."""
    if url == CONSOLE:
        return None
    split = _split(url)
    if split.scheme not in {"smtp", "smtps"}:
        raise ValueError("it has to be console:, smtp://host or smtps://host")
    host = split.hostname or ""
    if not _HOST.fullmatch(host):
        raise ValueError("it names no host (a user or password with / : @ ? # % has to be percent-encoded)")
    if split.path not in {"", "/"} or split.fragment:
        raise ValueError("nothing may follow the host and port but ?starttls=off (is / # in a password encoded?)")
    tls = _tls_of(split)
    user, password = unquote(split.username or ""), unquote(split.password or "")
    if bool(user) is not bool(password):
        raise ValueError("a user needs a password, and a password a user")
    if any(ord(character) < 32 or ord(character) == 127 for character in user + password):
        raise ValueError("its user or password has control characters")
    if password and tls == "off" and not _is_loopback(host):
        raise ValueError("a password goes to another machine over TLS only: take starttls=off away")
    return Relay(host, split.port or PORTS[tls], tls, user, password)


def _split(url: str) -> SplitResult:
    # urlsplit drops line ends and tabs without a word.
    if any(character.isspace() for character in url) or url != one_line(url):
        raise ValueError("it has spaces or control characters")
    try:
        split = urlsplit(url)
        if split.port != 0:
            return split
    except ValueError:
        raise ValueError("it is not a URL with a port from 1 to 65535") from None
    raise ValueError("it is not a URL with a port from 1 to 65535")


def _tls_of(split: SplitResult) -> Literal["implicit", "starttls", "off"]:
    wishes = parse_qs(split.query, keep_blank_values=True)
    if split.scheme == "smtps":
        if wishes:
            raise ValueError("smtps:// takes nothing after the host: it is TLS from the first byte")
        return "implicit"
    if wishes not in ({}, {"starttls": ["off"]}, {"starttls": ["required"]}):
        raise ValueError("only ?starttls=off or ?starttls=required may follow the host")
    return "off" if wishes.get("starttls") == ["off"] else "starttls"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
