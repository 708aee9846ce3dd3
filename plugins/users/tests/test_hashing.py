"""What hashing costs: its threads stand behind those that answer, and a name that nobody has costs as much as any."""

import os
import sys
import threading

from argon2 import Parameters, Type, extract_parameters
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from powerstrip_users.passwords import PasswordHasher, made_up_hash
from powerstrip_users.settings import PasswordSettings


async def test_hashing_leaves_the_processor_to_those_who_answer(api_on_sqlite):
    """On Linux; elsewhere threads have no priority of their own."""
    await api_on_sqlite.user()
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    hashing = [entry for entry in threading.enumerate() if entry.name.startswith("powerstrip-users-passwords")]
    priorities = {os.getpriority(os.PRIO_PROCESS, entry.native_id) for entry in hashing}
    assert priorities == {min(own + 10, 19) if sys.platform == "linux" else own}


def test_a_made_up_hash_costs_as_much_as_the_settings_say():
    settings = PasswordSettings(memory_kib=16, iterations=2, parallelism=1)

    made_up = made_up_hash(settings)

    expected = Parameters(Type.ID, version=19, salt_len=16, hash_len=32, time_cost=2, memory_cost=16, parallelism=1)
    assert extract_parameters(made_up) == expected
    assert PasswordHash((Argon2Hasher(),)).verify("correct horse battery", made_up) is False
    assert made_up != made_up_hash(settings)


async def test_no_password_fits_an_account_that_does_not_exist():
    async with PasswordHasher(PasswordSettings(memory_kib=16, iterations=2, parallelism=1)) as hasher:
        checked = await hasher.verify("correct horse battery", None)

    assert (checked.fits, checked.new_hash) == (False, None)
