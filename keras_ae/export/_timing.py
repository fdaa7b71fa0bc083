"""Timing of a call."""

import time
from collections.abc import Callable
from typing import Any


def seconds_of(call: Callable[[], Any], repeats: int = 5) -> float:
    """Return the shortest time of a few calls: the least disturbed by other programs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
