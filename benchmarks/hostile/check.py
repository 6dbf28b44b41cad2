"""What becomes of a row: the refusal, its time, its memory, and what was written."""

import contextlib
import dataclasses
import gc
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

SECONDS = 1.0  # of the processor
MEGABYTES = 200
PATIENCE = 60  # seconds of the clock, after which a process is given up
LONGEST = 1500  # characters of a refusal


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a row.

    Attributes:
        error: the name of the exception's class; "" where it was read without one, "killed" where
            it was given up or its process died.
        sentence: what the exception says.
        seconds: of the processor.
        megabytes: by which the peak grew.
        written: paths that were not there before, or are gone.
    """

    error: str
    sentence: str = ""
    seconds: float = 0.0
    megabytes: float = 0.0
    written: tuple = ()


def slips(row, outcome, seconds=SECONDS):
    """What is wrong with an outcome, a list of texts; empty where all is as it must be."""
    known = [kind.__name__ for kind in row.errors]
    found = []
    if not outcome.error:
        return ["it was read"]
    if outcome.error not in known:
        found.append(f"{outcome.error} in the place of {' or '.join(known)}")
    if not re.search(row.message, outcome.sentence, re.DOTALL):
        found.append(f"it does not say {row.message!r}")
    if row.named not in outcome.sentence:
        found.append(f"it does not name {row.named}")
    if len(outcome.sentence) > LONGEST:
        found.append(f"it says {len(outcome.sentence)} characters")
    if outcome.seconds > seconds:
        found.append(f"it took {outcome.seconds:.1f} s")
    if outcome.megabytes > MEGABYTES:
        found.append(f"it took {outcome.megabytes:.0f} MB")
    if outcome.written:
        found.append(f"it left {', '.join(outcome.written)}")
    return found


def attempt(row, folder):
    """The `Outcome` of a row in this process.

    Args:
        folder: a Path, an empty folder.
    """
    given = row.make(folder)
    before, start, least = snapshot(folder), time.process_time(), peak()
    error, sentence = "", ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row.read(given)
    except Exception as caught:
        error, sentence = known_name(caught, row.errors), str(caught)
    seconds, megabytes = time.process_time() - start, peak() - least
    return Outcome(error, sentence, seconds, megabytes, changes(before, snapshot(folder)))


def known_name(error, kinds):
    """The name of the first kind that an error is of, or else its own."""
    return next((kind.__name__ for kind in kinds if isinstance(error, kind)), type(error).__name__)


def snapshot(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def changes(before, after):
    return tuple(sorted(before ^ after))


def peak():
    """The most memory that this process has had, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def attempt_apart(row):
    """The `Outcome` of a row in a process of its own, so that its memory counts alone."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        return child_outcome(row, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def child_outcome(row, folder):
    gc.collect()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(PATIENCE)
        with contextlib.suppress(BaseException), os.fdopen(writer, "w") as pipe:
            json.dump(dataclasses.asdict(attempt(row, folder)), pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if status or not answer:
        return Outcome("killed", f"its process ended with {status}")
    found = json.loads(answer)
    return Outcome(**{**found, "written": tuple(found["written"])})
