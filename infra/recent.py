"""Remembering what was lately seen, without ever growing past a bound.

Invariant: at least the last ``most`` things are remembered, and at most twice as many.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """The values of keys that were noted lately: two generations, of which the older one is forgotten as a whole."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def note(self, key: K, value: V) -> None:
        """Remember a value."""
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def get(self, key: K) -> V | None:
        """The value of a key; None when it was never noted, or too long ago."""
        found = self._young.get(key)
        return self._old.get(key) if found is None else found
