"""One process that measures one library on one backend; its last line of output is JSON."""

import argparse
import json
import os
import time
from pathlib import Path

from benchmarks.failures import message
from benchmarks.libraries import import_library
from benchmarks.measures import MEASURES, Task
from benchmarks.sizes import SIZES, choose


def main():
    args = parse_arguments()
    os.environ.update(KERAS_BACKEND=args.backend, TF_CPP_MIN_LOG_LEVEL="3", HF_HUB_OFFLINE="1")
    values = {}
    sizes, workload = choose(args.sizes, args.quick)
    try:
        library = import_library(args.library, sizes.family)
    except Exception as error:
        values = {name: {"error": message(error)} for name in args.measures}
    else:
        task = Task(library, sizes, workload, args.preset, args.started)
        for name in args.measures:
            start = time.perf_counter()
            try:
                values[name] = MEASURES[name](task)
            except Exception as error:
                values[name] = {"error": message(error)}
            values[name]["took"] = round(time.perf_counter() - start, 1)
    print(json.dumps(values))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="see benchmarks.libraries")
    parser.add_argument("--backend", required=True, choices=["jax", "torch", "tensorflow"])
    parser.add_argument("--sizes", required=True, choices=SIZES)
    parser.add_argument("--measures", required=True, type=lambda names: names.split(","))
    parser.add_argument("--preset", type=Path, help="written by benchmarks.presets, for load")
    parser.add_argument("--started", type=float, help="time.time() when the process was started")
    parser.add_argument("--quick", action="store_true", help="toys of the sizes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
