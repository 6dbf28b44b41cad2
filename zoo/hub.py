"""From the name of a preset to a folder on this machine."""

import difflib
import importlib.resources
import os
import re
from pathlib import Path

from zoo.checks import checked_path
from zoo.folders import current

CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"
DOWNLOAD = "Fetch it with `hf download owner/name --local-dir folder`, and load that folder."


def resolve(name):
    """The folder of a preset.

    Args:
        name: a bundled preset such as `"gpt-small"`, or the path of a preset folder. A folder of
            the working directory goes before the bundled preset of that name.

    Raises:
        FileNotFoundError: a path, and no such folder.
        TypeError: `name` is neither a str nor a path.
        ValueError: no such preset, or an `hf://` name.
    """
    if not isinstance(name, (str, os.PathLike)) or isinstance(os.fspath(name), bytes):
        raise TypeError(
            f"A preset is given by its name or its folder, a str or a path; got {name!r}."
        )
    text = os.fspath(name)
    if text.startswith("hf://"):
        raise ValueError(
            f"Hugging Face models such as {text[:80]!r} are not supported yet. {DOWNLOAD} "
            f"Bundled presets: {', '.join(bundled())}."
        )
    folder = current(checked_path(text))
    if (folder / CONFIG_NAME).is_file():
        return folder
    if text in bundled():
        return bundled_folder() / text
    if isinstance(name, str) and not is_path(text):
        raise ValueError(
            f"No preset named {name[:80]!r}. {suggestion(name, bundled())}"
            f"Bundled: {', '.join(bundled())}. A folder of your own is named by its path."
        )
    if folder.is_dir():
        raise FileNotFoundError(
            f"A preset folder must hold a {CONFIG_NAME}; there is none in {text!r}. "
            "zoo.save(model, folder) writes one."
        )
    is_hub_name = re.fullmatch(r"[\w.-]+/[\w.-]+", text) and text[0] not in ".~"
    raise FileNotFoundError(
        f"No preset folder at {text!r}. Check the path; zoo.save(model, folder) makes one."
        f"{' If it is a Hugging Face model: ' + DOWNLOAD if is_hub_name else ''}"
    )


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
