"""From the name of a preset to a folder, or a GGUF file, on this machine."""

import contextlib
import difflib
import importlib.resources
import os
import re
from pathlib import Path

from zoo import downloads
from zoo.checks import checked_path
from zoo.folders import current
from zoo.short_names import SHORT_NAMES

CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer.json"
WEIGHTS_NAME = "model.safetensors"
WEIGHTS_FILES = "model*.safetensors"  # that, or its shards
CARD_NAME = "README.md"
GGUF = ".gguf"  # the suffix of files that hold a whole model
PREFIX = "hf://"
HUB_NAME = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def resolve(name, revision=None, with_weights=False):
    """The folder of a preset, which a model of a hub is fetched into.

    Args:
        name: a bundled preset such as `"gpt-small"`; the path of a preset folder or of a `.gguf`
            file; or a model of a hub, `"hf://owner/name"`, `"owner/name"`,
            `"hf://owner/name@commit"` or one of `SHORT_NAMES`. A folder of the working directory
            goes before all others of its name, and a bundled preset before a short name, unless it
            lacks the weights that are wanted.
        revision: str, a branch, a tag or a commit of the hub's model; None for its main branch.
        with_weights: bool, whether weights are wanted.

    Raises:
        ConnectionError, OSError, PermissionError: as `zoo.downloads.download`.
        FileNotFoundError: a path, and no such folder; no such model on the hub.
        TypeError: `name` is neither a str nor a path.
        ValueError: no such preset, or a revision of what is no model of a hub.
    """
    if not isinstance(name, (str, os.PathLike)) or isinstance(os.fspath(name), bytes):
        raise TypeError(
            f"A preset is given by its name or its folder, a str or a path; got {name!r}."
        )
    text = os.fspath(name)
    if text.startswith(PREFIX):
        return fetch(text, revision, with_weights)
    folder = current(checked_path(text))
    if folder.suffix == GGUF and not folder.is_file():
        raise FileNotFoundError(f"No GGUF file at {text!r}. Check the path.")
    if folder.suffix == GGUF or (folder / CONFIG_NAME).is_file():
        refuse_revision(name, revision)
        return folder
    is_bundled = text in bundled()
    if is_bundled and not (with_weights and text in SHORT_NAMES and not has_weights(text)):
        refuse_revision(name, revision)
        return bundled_folder() / text
    if isinstance(name, str) and text in SHORT_NAMES:
        hint = (
            f" zoo.load({text!r}, weights=False) makes it with random ones." if is_bundled else ""
        )
        with explained(f"The weights of {text!r} are on the hub.", hint):
            return fetch(SHORT_NAMES[text], revision, with_weights)
    if isinstance(name, str) and not is_path(text):
        raise ValueError(
            f"No preset named {name[:80]!r}. {suggestion(name, [*bundled(), *SHORT_NAMES])}"
            f"Bundled: {', '.join(bundled())}. A folder of your own is named by its path, a model "
            f"of the hub by {PREFIX}owner/name."
        )
    if folder.is_dir():
        raise FileNotFoundError(
            f"A preset folder must hold a {CONFIG_NAME}; there is none in {text!r}. "
            "zoo.save(model, folder) writes one."
        )
    if isinstance(name, str) and HUB_NAME.fullmatch(text) and text[0] not in ".~":
        with explained(f"No preset folder at {text!r}, and none on the hub."):
            return fetch(text, revision, with_weights)
    raise FileNotFoundError(
        f"No preset folder at {text!r}. Check the path; zoo.save(model, folder) makes one."
    )


@contextlib.contextmanager
def explained(before, after=""):
    """Say why something is fetched, if that fails."""
    try:
        yield
    except OSError as error:
        kind = type(error)
        plain = kind(f"{before} {error}{after}")
        plain.errno = error.errno
        raise plain from None


def fetch(text, revision, with_weights):
    """The folder of a model of the hub, in its cache."""
    found = HUB_NAME.fullmatch(text.removeprefix(PREFIX))
    if found is None or (found["revision"] and revision is not None):
        raise ValueError(
            f"A model of the hub is named {PREFIX}owner/name, and its revision once, by "
            f"revision= or as {PREFIX}owner/name@revision; got {text[:80]!r}."
        )
    return downloads.download(found["repo"], revision or found["revision"], with_weights)


def refuse_revision(name, revision):
    if revision is not None:
        raise ValueError(
            f"revision is of a model on a hub, {PREFIX}owner/name; {str(name)[:80]!r} is a folder "
            f"here, and has none. Leave it out; got {revision!r}."
        )


def has_weights(name):
    """Whether a bundled preset has weights, and is not an architecture alone."""
    return (bundled_folder() / name / WEIGHTS_NAME).exists()


def bundled():
    """The names of the presets that come with the package, sorted."""
    return sorted(path.parent.name for path in bundled_folder().glob(f"*/{CONFIG_NAME}"))


def bundled_folder():
    return Path(str(importlib.resources.files("zoo.presets")))


def is_path(text):
    separators = {"/", os.sep, os.altsep or "/"}
    return text.startswith((".", "~")) or any(separator in text for separator in separators)


def suggestion(name, known):
    """`"Did you mean ...? "`, or nothing where nothing is near."""
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}? " if close else ""
