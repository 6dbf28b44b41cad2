"""Models of transformers beside ours: the same numbers in, out and back.

    python -m benchmarks.parity                   # the matrix, for the backend that runs
    python -m benchmarks.parity --family gpt2

`cases` is the table: a row for each class and configuration, random weights, odd shapes. `check`
takes a row through both directions. `tests/test_parity.py` runs over the same table.
"""
