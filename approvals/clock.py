"""A clock that counts the time a machine sleeps."""

import time


def boot_clock() -> float:
    """Seconds since boot, suspends included where the platform tells (CLOCK_BOOTTIME); else a monotonic clock."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
