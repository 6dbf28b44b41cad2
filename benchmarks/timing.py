"""Clocks and memory."""

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


def _is_enough(laps, workload):
    enough = len(laps) >= workload.least_laps and sum(laps) >= workload.least_seconds
    return enough or sum(laps) >= workload.most_seconds


def peak_bytes():
    """The most memory that this process ever had resident."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
