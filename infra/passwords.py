"""Passwords: argon2id, off the event loop, at most a few at a time.

Invariant: checking costs the same whether there is a hash to check against or not. So how long a login takes doesn't
tell whether an account exists (OWASP Authentication Cheat Sheet).
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

T = TypeVar("T")
THREADS = 2
WAITING_MAX = 64
"""Passwords that may wait for a thread; past it, nobody is made to wait longer than they would."""


class TooBusyError(Exception):
    """More passwords wait to be checked than can be checked in reasonable time."""


class Passwords:
    """Hashes and checks passwords in threads of its own; argon2 lets go of the interpreter meanwhile.

    19 MiB, two passes and one lane are OWASP's recommendation: about 20 ms each, and 40 MB at most in all.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=argon2.Type.ID)
        # What an unknown account's password is held against: nobody knows a password of it.
        self._nobody = self._hasher.hash("no account has this one")
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="argon2")
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Hash a new password; raises TooBusyError."""
        return await self._run(self._hasher.hash, password)

    async def check(self, password: str, stored: str | None) -> bool:
        """Whether a password is the one behind a hash; against none, False after as long. Raises TooBusyError."""
        return await self._run(self._verify, password, stored)

    def is_outdated(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password: str, stored: str | None) -> bool:
        try:
            self._hasher.verify(stored or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        if self._waiting >= WAITING_MAX:
            raise TooBusyError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._waiting -= 1
