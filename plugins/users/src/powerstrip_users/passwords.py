"""Passwords: which are accepted, and how they are hashed without stopping everything else."""

import asyncio
import math
import os
import secrets
import time
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self, TypeVar

from argon2.low_level import ARGON2_VERSION
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped] # only read here

from powerstrip import let_others_go_first
from powerstrip_users.domain import fold
from powerstrip_users.errors import PasswordNotAllowed, SignInBusy
from powerstrip_users.settings import PasswordSettings

ResultT = TypeVar("ResultT")

NICENESS = 10
"""Of the threads that hash: beside sign-ins, 99 of 100 /health took 5.3 times as long as without them with 5, 4 times
with this."""

_MOST_THREADS = 4


class PasswordPolicy:
    """NIST SP 800-63B: a password is long enough and not one that an attacker tries first. No rule about kinds of
    characters: they make passwords harder to remember, not to guess. Lengths are the schema's."""

    def __init__(self) -> None:
        self._commonest = frozenset(map(fold, FREQUENCY_LISTS["passwords"]))

    def check(self, password: str, personal: Iterable[str | None], *, field: str = "password") -> None:
        """Raises PasswordNotAllowed for one of the commonest passwords, and for what stands in the account itself."""
        folded = fold(password)
        if folded in self._commonest:
            raise PasswordNotAllowed(field, "This is one of the commonest passwords.")
        own = {fold(part) for value in personal if value for part in (value, value.partition("@")[0])}
        if folded in own:
            raise PasswordNotAllowed(field, "The password is the name or the address of the account.")


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a password fits, and a new hash to store where the stored one was made at another cost."""

    fits: bool
    new_hash: str | None = None


class PasswordHasher:
    """Argon2id in a few threads. What would have to wait too long is refused, with a time to try again.

    Used as an async context manager; it ends with its threads.
    """

    def __init__(self, settings: PasswordSettings) -> None:
        self._argon2 = PasswordHash(
            (
                Argon2Hasher(
                    time_cost=settings.iterations,
                    memory_cost=settings.memory_kib,
                    parallelism=settings.parallelism,
                ),
            )
        )
        self._threads = settings.threads or min(os.cpu_count() or 1, _MOST_THREADS)
        self._limit = self._threads + settings.queue
        self._pending = 0
        self._seconds = 0.1
        self._executor = ThreadPoolExecutor(
            self._threads, "powerstrip-users-passwords", let_others_go_first, (NICENESS,)
        )
        self._decoy = made_up_hash(settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash to store. Raises SignInBusy when too many wait."""
        return await self._in_thread(lambda: self._argon2.hash(_normal(password)))

    async def verify(self, password: str, stored: str | None) -> Verification:
        """Check a password against a stored hash. None, for an account that doesn't exist, takes as long.

        Raises SignInBusy when too many wait.
        """

        def check() -> Verification:
            fits, new_hash = self._argon2.verify_and_update(_normal(password), stored or self._decoy)
            return Verification(fits and stored is not None, new_hash)

        return await self._in_thread(check)

    async def _in_thread(self, work: Callable[[], ResultT]) -> ResultT:
        if self._pending >= self._limit:
            raise SignInBusy(math.ceil(self._pending * self._seconds / self._threads))
        self._pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._executor, self._timed, work)
        # Not when the caller is done: a cancelled one leaves its work behind in the thread.
        future.add_done_callback(lambda _: self._finished())
        return await future

    def _finished(self) -> None:
        self._pending -= 1

    def _timed(self, work: Callable[[], ResultT]) -> ResultT:
        started = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds = time.perf_counter() - started


def made_up_hash(settings: PasswordSettings) -> str:
    """A hash that no password has, and that takes as long to check as any: its result is made up, so that nobody has to
    hash anything for it."""
    cost = f"m={settings.memory_kib},t={settings.iterations},p={settings.parallelism}"
    salt, made_up = (b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v={ARGON2_VERSION}${cost}${salt}${made_up}"


def _normal(password: str) -> str:
    """One form for what looks the same on different keyboards (SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
