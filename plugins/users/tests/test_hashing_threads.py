"""The threads that hash passwords stand behind those that answer."""

import os
import sys
import threading


async def test_hashing_leaves_the_processor_to_those_who_answer(api_on_sqlite):
    """On Linux; elsewhere threads have no priority of their own."""
    await api_on_sqlite.user()
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    hashing = [entry for entry in threading.enumerate() if entry.name.startswith("powerstrip-users-passwords")]
    priorities = {os.getpriority(os.PRIO_PROCESS, entry.native_id) for entry in hashing}
    assert priorities == {min(own + 5, 19) if sys.platform == "linux" else own}
