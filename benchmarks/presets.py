"""Write random weights for the processes that measure loading."""

import argparse
import importlib
import os
from pathlib import Path

from benchmarks.sizes import SIZES, choose


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="a module of benchmarks.libraries")
    parser.add_argument("--sizes", required=True, help=f"some of {', '.join(SIZES)}, with commas")
    parser.add_argument("--folder", required=True, type=Path, help="gets a folder for each size")
    parser.add_argument("--quick", action="store_true", help="toys of the sizes")
    args = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "torch"
    library = importlib.import_module(f"benchmarks.libraries.{args.library}")
    for name in args.sizes.split(","):
        sizes, _ = choose(name, args.quick)
        library.build(sizes).save(args.folder / name)


if __name__ == "__main__":
    main()
