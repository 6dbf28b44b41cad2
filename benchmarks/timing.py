"""Clocks and memory."""

import math
import os
import resource
import statistics
import sys
import time


def seconds_of(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def steady_seconds(function, workload):
    """The median lap of a function that is warm."""
    laps = []
    while not _is_enough(laps, workload):
        laps.append(seconds_of(function))
    return statistics.median(laps)


def seconds_of_step(prepare, workload):
    """The very first step of training, and any other, in laps of a second or two.

    `prepare(steps)` makes data for so many steps, and a function that trains on it.
    """
    one_step = prepare(1)
    first = seconds_of(one_step)
    warm = seconds_of(one_step)
    steps = min(8, max(1, math.ceil(workload.lap_seconds / warm)))
    return first, steady_seconds(prepare(steps), workload) / steps


def _is_enough(laps, workload):
    enough = len(laps) >= workload.least_laps and sum(laps) >= workload.least_seconds
    return enough or sum(laps) >= workload.most_seconds


def peak_bytes():
    """The most memory that this process ever had resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def resident_bytes():
    """The memory that this process has resident now; where nobody says, the most it ever had."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_bytes()
