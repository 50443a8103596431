"""What strangers typed, made fit to stand in a line that people read."""

import unicodedata

# These turn the direction of what follows them: with one of them a name can make a link look like another one.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})


def one_line(text: str) -> str:
    """Make one line of a text: control characters, line ends and what turns the direction become single spaces."""
    shown = (" " if c in _TURNING or unicodedata.category(c) in _UNSEEN else c for c in text)
    return " ".join("".join(shown).split())


def lines(text: str) -> str:
    """Keep a text's own lines and clean each as :func:`one_line` does."""
    return "\n".join(one_line(line) for line in text.splitlines()).strip("\n")
