"""Write random weights for the processes that measure loading."""

import argparse
import os
from pathlib import Path

from benchmarks.libraries import import_library
from benchmarks.sizes import SIZES, choose


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True, help="see benchmarks.libraries")
    parser.add_argument("--sizes", required=True, help=f"some of {', '.join(SIZES)}, with commas")
    parser.add_argument("--folder", required=True, type=Path, help="gets a folder for each size")
    parser.add_argument("--quick", action="store_true", help="toys of the sizes")
    args = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "torch"
    for name in args.sizes.split(","):
        sizes, _ = choose(name, args.quick)
        library = import_library(args.library, sizes.family)
        library.build(sizes).save(args.folder / name)


if __name__ == "__main__":
    main()
