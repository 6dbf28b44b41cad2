"""Acceptance and speed on a GPU, in minutes: `python -m benchmarks.gpu --help`.

`plan` says what is to be done, and `processes` does it: a process of its own for each backend,
several at once where that disturbs no clock. A process (`worker`) says on its standard output
what it begins and what came of it, a line of JSON each. One that crashes, hangs or loses its
device is replaced by another that goes on after the check that did it, and all that was learned
so far is in the results' file already.

What is checked is in `trials`, whose numbers must be those of a CPU, and in `behaviours`.
"""
