"""Files that lie: each refused soon, in little memory, in a sentence that names it.

    python -m benchmarks.hostile                  # the table; it exits with 1 if a case slips
    python -m benchmarks.hostile --format gguf

`rows` is the table of all cases, from a module for each kind of file. `check` takes a row in a
process of its own, whose time and memory count. `tests/test_hostile_rows.py` runs over the same.
"""
