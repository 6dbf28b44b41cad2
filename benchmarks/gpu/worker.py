"""One process that checks or measures one backend; each line of its output is JSON.

    {"begins": name}                        before a check
    {"check": name, "precision": ..., ...}  what came of it

A check that raises has failed, and the next one runs; after one that has broken the device, the
process ends with `LOST`.
"""

import argparse
import contextlib
import json
import logging
import os
import re
import sys
import time
import traceback
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOST = 3  # the exit status of a process whose device no longer answers
PATIENCE = 150  # seconds that a check waits for the numbers of the CPU
FRAMES = 6  # of an exception, the last ones
MOST_HEARD = 5  # warnings of a check
LONGEST = 400  # characters of a message


def main():
    args = parse_arguments()
    os.environ.update(KERAS_BACKEND=args.backend, TF_CPP_MIN_LOG_LEVEL="3", HF_HUB_OFFLINE="1")
    prefer_installed()
    roles = {"describe": describe, "reference": refer, "speed": measure}
    roles.get(args.role, accept)(args)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", required=True, help="see benchmarks.gpu.processes")
    parser.add_argument("--backend", required=True, choices=["jax", "torch", "tensorflow"])
    parser.add_argument("--library", default="zoo", help="see benchmarks.gpu.plan")
    parser.add_argument("--checks", type=lambda text: text.split(";"), default=[])
    parser.add_argument("--reference", type=Path, help="the file of the CPU's numbers")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def prefer_installed():
    """Import `zoo` as it is installed: the checkout's folder of that name lacks the presets."""
    sys.path[:] = [p for p in sys.path if Path(p or ".").resolve() != ROOT] + [str(ROOT)]


def say(**message):
    print(json.dumps(message), flush=True)


def describe(args):
    """The device, and the names of all checks."""
    from benchmarks.gpu import behaviours, devices, trials

    trials.warm_up()
    device = devices.current()
    checks = {**behaviours.CHECKS, **trials.TRIALS}
    names = [f"{name}@{p}" for name, check in checks.items() for p in check.precisions]
    say(device=device.describe(), is_gpu=device.is_gpu, checks=names)


def refer(args):
    """Write what all trials give in float32, as soon as one is done."""
    import keras

    from benchmarks.gpu import trials

    known = {}
    for name, trial in trials.TRIALS.items():
        keras.utils.set_random_seed(0)
        try:
            known[name] = {"values": trial.run(size_of(args), "float32")}
        except Exception as error:
            known[name] = {"error": f"on the CPU: {short(error)}"}
        partial = args.reference.with_suffix(".partial")
        partial.write_text(json.dumps(known), encoding="utf-8")
        os.replace(partial, args.reference)


def accept(args):
    import keras

    from benchmarks.gpu import behaviours, devices, trials

    trials.warm_up()
    device, size = devices.current(), size_of(args)

    def run(name):
        name, precision = name.split("@")
        keras.utils.set_random_seed(0)
        if name in behaviours.CHECKS:
            return behaviours.CHECKS[name].run(size, precision)._asdict()
        trial = trials.TRIALS[name]
        tolerance = trials.tolerance_of(trial.kind, precision, args.role == "rounded")
        seen = trial.run(size, precision)
        passed, value = trials.compare(trial.kind, seen, expected(args, name), tolerance)
        shown = tolerance or "equal"
        shown = f"{shown:.0e}" if isinstance(shown, float) else shown
        return {"passed": passed, "value": value, "tolerance": shown}

    run_all(args.checks, run, device)


def expected(args, name):
    """What the CPU has made of a trial, once it has."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if args.reference.exists():
            known = json.loads(args.reference.read_text(encoding="utf-8"))
            if name in known:
                if "error" in known[name]:
                    raise RuntimeError(known[name]["error"])
                return known[name]["values"]
        time.sleep(0.2)
    raise TimeoutError(f"The CPU's numbers did not come within {PATIENCE} s.")


def measure(args):
    from benchmarks.gpu import speed

    speed.measure(args.library, args.checks, args.quick, run_all)


def run_all(names, run, device):
    """Say what comes of each check; `run(name)` gives it as a dict."""
    for name in names:
        say(begins=name)
        start = time.perf_counter()
        with listening() as heard:
            try:
                result = run(name)
                device.synchronize()
            except Exception as error:
                result = {"passed": False, "error": short(error), "trace": last_frames(error)}
        result["seconds"] = round(time.perf_counter() - start, 1)
        result["heard"] = list(heard)[:MOST_HEARD]
        say(check=name, **result)
        if "error" in result and not answers(device):
            sys.exit(LOST)


@contextlib.contextmanager
def listening():
    """Collect warnings, and what libraries log of what they could not do, as keys of a dict."""
    heard = {}

    class Ear(logging.Handler):
        def emit(self, record):
            error = record.exc_info[1] if record.exc_info else None
            heard[plain(record.getMessage() + (f" {short(error)}" if error else ""))] = None

    ear, loggers = Ear(logging.WARNING), [logging.getLogger(), logging.getLogger("absl")]
    for logger in loggers:
        logger.addHandler(ear)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            warnings.simplefilter("ignore", DeprecationWarning)
            yield heard
    finally:
        for logger in loggers:
            logger.removeHandler(ear)
        for warning in caught:
            heard[plain(f"{warning.category.__name__}: {warning.message}")] = None


def answers(device):
    """Whether the device still computes: some errors break it for the rest of a process."""
    from benchmarks.gpu import trials

    try:
        trials.warm_up()
        device.synchronize()
    except Exception:
        return False
    return True


def short(error):
    return plain(f"{type(error).__name__}: {error}")


def plain(text):
    """The start of a text in one line, without the folders of this machine."""
    return re.sub(r"(/[\w.@+-]+)+/", "", " ".join(text.split()))[:LONGEST]


def last_frames(error):
    """Where an exception was raised, the innermost place last."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return [f"{'/'.join(Path(f.filename).parts[-3:])}:{f.lineno}: {f.line}" for f in frames]


def size_of(args):
    from benchmarks.gpu import small

    return small.QUICK if args.quick else small.FULL


if __name__ == "__main__":
    main()
