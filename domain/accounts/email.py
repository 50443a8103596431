"""E-mail addresses: what is one, and when two of them are the same.

Addresses are compared as a whole, NFKC-normalised and without regard to case. Letters that only look alike (a Cyrillic
letter among Latin ones) survive normalisation, so a label that mixes scripts is refused (Unicode TR 39, single script).
"""

import unicodedata

LENGTH_MAX = 254
LOCAL_BYTES_MAX = 64
LABEL_LENGTH_MAX = 63
_LOCAL_SIGNS = frozenset("!#$%&'*+/=?^_`{|}~-.")
_REFUSED = {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}


def email_key(address: str) -> str:
    """What an address is compared by; stable under being applied again."""
    folded = unicodedata.normalize("NFKC", address).casefold()
    return unicodedata.normalize("NFKC", folded)


def fault_of(address: str) -> str | None:
    """Why this is no address that mail could be sent to, in a few words; None when it is one."""
    if not 3 <= len(address) <= LENGTH_MAX:
        return f"an e-mail address has 3 to {LENGTH_MAX} characters"
    if any(unicodedata.category(c) in _REFUSED for c in address):
        return "an e-mail address has no spaces, control or invisible characters"
    local, at, domain = email_key(address).rpartition("@")
    if not at or "@" in local:
        return "an e-mail address has one @"
    if not _is_local(local):
        return "the part before the @ is malformed"
    labels = domain.split(".")
    if len(labels) < 2 or not all(map(_is_label, labels)):
        return "the part after the @ is no domain name"
    mixed = any(len(_scripts(label)) > 1 for label in (*local.split("."), *labels))
    return "an e-mail address doesn't mix letters of several scripts" if mixed else None


def _is_local(local: str) -> bool:
    if not 1 <= len(local.encode()) <= LOCAL_BYTES_MAX or not all(local.split(".")):
        return False
    return all(c.isalnum() or unicodedata.combining(c) or c in _LOCAL_SIGNS for c in local)


def _is_label(label: str) -> bool:
    if not label or label.startswith("-") or label.endswith("-"):
        return False
    if any(not (c.isalnum() or unicodedata.combining(c) or c == "-") for c in label):
        return False
    try:
        return len(label.encode("idna")) <= LABEL_LENGTH_MAX
    except UnicodeError:
        return False


def _scripts(label: str) -> set[str]:
    """The scripts of a label's letters, as the first words of their names say; Japanese mixes three by custom."""
    names = {unicodedata.name(c, "").partition(" ")[0] for c in label if c.isalpha()}
    japanese = {"HIRAGANA", "KATAKANA", "CJK"}
    return (names - japanese) | ({"JAPANESE"} if names & japanese else set())
