"""A clock that nobody can set: how long this machine has been up, sleep included."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SteadyClock(NamedTuple):
    """Time since the machine started, the same for all of its processes.

    Attributes:
        boot: Which start of which machine.
    """

    boot: str

    def now_us(self) -> int:
        """Microseconds since then."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def steady_clock() -> SteadyClock | None:
    """The machine's; ``None`` if it tells of none."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return None
    try:
        return SteadyClock(_BOOT_ID.read_text(encoding="ascii").strip())
    except OSError:
        return None
