"""Speed and memory of this library beside its peers: `python -m benchmarks --help`."""
