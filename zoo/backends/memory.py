"""How much this machine can hold."""

import os


def total_memory():
    """Bytes of memory of this machine, or None where it does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows, and where the names are unknown
        return None
