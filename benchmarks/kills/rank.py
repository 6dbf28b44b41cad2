"""One rank of a run that several train together, each life of which goes on from the last.

KERAS_BACKEND=torch torchrun --nproc-per-node 2 -m benchmarks.kills.rank data runs/a 4
"""

import sys

from zoo.training import distribute

from benchmarks.kills.worker import live


def main(layout, folder, epochs):
    world = distribute(**({} if layout == "data" else {"layout": layout}))
    # Without dropout, of which two processes draw other numbers than one.
    live("arrays", folder, int(epochs), world.rank, dropout=0.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
