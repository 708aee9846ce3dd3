"""Threads of plugins, beside the one that answers."""

import os
import sys
import threading
from contextlib import suppress


def let_others_go_first(niceness: int) -> None:
    """Lower the priority of this thread, where threads have one of their own, as on Linux (sched(7)).

    For threads that take all of a processor: whoever answers requests beside them needs little, but at once. With a
    `niceness` of 5 they get a third of the weight of other threads where all want the processor, with 10 a tenth.
    `ThreadPoolExecutor(2, "my-plugin", let_others_go_first, (5,))` makes a pool of such threads.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + niceness)
