"""Names under which things are kept where others may read: a keyed hash, never the thing itself.

Invariant: whoever reads the keys of Redis learns no e-mail address and no network address, and can't try out whether
one is there without our secret. All processes of a deployment give the same thing the same name.
"""

import hashlib

_NAME_BYTES = 16


class Names:
    """Gives names, under a key made of ``secret_key``."""

    def __init__(self, secret_key: str) -> None:
        self._key = hashlib.blake2b(secret_key.encode(), person=b"ordermill names").digest()

    def of(self, *things: str) -> str:
        """The name of some things together, in hexadecimal."""
        # Lengths go in as well: ("ab", "c") and ("a", "bc") are two things.
        text = "".join(f"{len(thing)}:{thing}" for thing in things)
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=_NAME_BYTES).hexdigest()
