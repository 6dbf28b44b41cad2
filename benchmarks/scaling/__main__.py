"""The scaling page: `python -m benchmarks.scaling [--measure]`.

Without `--measure` the arithmetic alone: memory and time of a step for models of 124M to 7B on 8 to
512 GPUs, and the layout that fits and takes least. With it, tokens a second of one, two and four
processes of PyTorch on this machine, whose cores they share: what several cost, not what they gain.
"""

import argparse
import sys

from benchmarks.scaling.arithmetic import BANDWIDTH, GPU, MACHINE, MODELS, plan, table

PROCESSES = (1, 2, 4)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--layouts", nargs="+", default=["data", "sharded"])
    args = parser.parse_args()
    print(
        f"GPU: {GPU['flops'] / 1e12:.0f} TFLOP/s of which {GPU['used']:.0%} are used, "
        f"{GPU['memory'] / 1e9:.0f} GB; each sends {BANDWIDTH['inside'] / 1e9:.0f} GB/s within a "
        f"machine of {MACHINE}, {BANDWIDTH['between'] / 1e9:.0f} GB/s between machines.\n"
    )
    print(table())
    print("\n" + plan(MODELS["1.3B"], 64, "sharded").arithmetic())
    if args.measure:
        from benchmarks.scaling.measured import measure

        print("\n| layout | processes | tokens/s | to one |\n|---|---:|---:|---:|")
        for layout in args.layouts:
            speeds = {count: measure(layout, count) for count in PROCESSES}
            for count, speed in speeds.items():
                print(f"| {layout} | {count} | {speed:.0f} | {speed / speeds[1]:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
