"""Folders of training states, the newest of which is whole.

    runs/a/step-000000120/
        state.safetensors    arrays: weights, optimizer, random numbers, metrics
        state.json           the place in the data, the history, what the callbacks know
        manifest.json        sizes and checksums of both, the step, the backend, versions

Each is written beside its place, flushed to disk and renamed, so a crash at any moment leaves the
ones before it as they are.
"""

import json
import shutil
import time
import warnings
import zlib
from importlib.metadata import version
from pathlib import Path

from safetensors import SafetensorError
from zoo.training.checkpoints import read_arrays, write_arrays

from zoo.backends import backend
from zoo.data.texts import user_level
from zoo.folders import remove_abandoned, replace_folder

ARRAYS, STATE, MANIFEST = "state.safetensors", "state.json", "manifest.json"
FORMAT_VERSION = 1
PREFIX = "step-"
CHUNK = 2**20


def write_state(folder, step, arrays, state, keep):
    """Write the state of a step, and remove all but the `keep` newest when it is on disk.

    Raises:
        OSError: of the kind that stopped it, naming the folder; the older ones are unchanged.
    """
    place = Path(folder) / f"{PREFIX}{step:09d}"

    def write(partial):
        write_arrays(partial / ARRAYS, arrays)
        (partial / STATE).write_text(json.dumps(state), encoding="utf-8")
        manifest = {
            "format_version": FORMAT_VERSION,
            "step": step,
            "backend": backend.__name__.rpartition(".")[2],
            "zoo": version("keras-zoo"),
            "keras": version("keras"),
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "files": {name: described(partial / name) for name in (ARRAYS, STATE)},
        }
        text = json.dumps(manifest, indent=2) + "\n"
        (partial / MANIFEST).write_text(text, encoding="utf-8")

    replace_folder(place, write)
    for old in steps_of(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
        remove_abandoned(old)


def newest_state(folder):
    """`(path, arrays, state)` of the newest sound state in a folder; None without any.

    One that is damaged is passed over, with a warning.

    Raises:
        ValueError: states are there, and none is sound.
    """
    places = steps_of(folder)
    for place in places:
        try:
            check(place)
            return (
                place,
                read_arrays(place / ARRAYS),
                json.loads((place / STATE).read_text("utf-8")),
            )
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            warnings.warn(
                f"The checkpoint {place} is damaged and passed over: {error}",
                stacklevel=user_level(),
            )
    if places:
        raise ValueError(
            f"None of the {len(places)} checkpoints in {folder} is sound. Remove the folder to "
            "start anew."
        )
    return None


def steps_of(folder):
    """The folders of states, the newest first."""
    found = [path for path in Path(folder).glob(f"{PREFIX}*") if path.is_dir()]
    return sorted((p for p in found if p.name[len(PREFIX) :].isdigit()), reverse=True)


def check(place):
    """Raise ValueError unless the files are those that the manifest tells of."""
    manifest = json.loads((place / MANIFEST).read_text("utf-8"))
    if manifest["format_version"] != FORMAT_VERSION:
        raise ValueError(f"its format_version must be {FORMAT_VERSION}; another zoo wrote it")
    for name in (ARRAYS, STATE):
        if manifest["files"][name] != described(place / name):
            raise ValueError(f"{name} must be as {MANIFEST} tells; its checksum is another")


def described(path):
    checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return {"bytes": path.stat().st_size, "crc32": f"{checksum:08x}"}
