"""From a name to a folder on this machine, and folders that change in one step."""

import difflib
import errno
import importlib.resources
import os
import secrets
import shutil
from pathlib import Path

CONFIG_NAME = "config.json"
TOKENIZER_NAME = "tokenizer.json"
WEIGHTS_NAME = "model.safetensors"
CARD_NAME = "README.md"


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
            f"Hugging Face models such as {text!r} are not supported yet. "
            f"Bundled presets: {', '.join(bundled())}."
        )
    folder = current(Path(text).expanduser())
    if (folder / CONFIG_NAME).is_file():
        return folder
    if text in bundled():
        return bundled_folder() / text
    if isinstance(name, str) and not is_path(text):
        raise ValueError(
            f"No preset named {name!r}. {suggestion(name, bundled())}"
            f"Bundled: {', '.join(bundled())}. A folder of your own is named by its path."
        )
    if folder.is_dir():
        raise FileNotFoundError(
            f"A preset folder must hold a {CONFIG_NAME}; there is none in {text!r}. "
            "zoo.save(model, folder) writes one."
        )
    raise FileNotFoundError(
        f"No preset folder at {text!r}. Check the path; zoo.save(model, folder) makes one."
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


def replace_folder(folder, write):
    """Make or replace a folder in one step: a crash leaves the old one whole or the new one.

    The new folder is written beside the old one, flushed to disk and renamed. A non-empty folder
    cannot be renamed over, so the old one steps aside as `.name.old` first; `current` finds it
    there if the process is killed between the two renames. A killed process may leave a hidden
    `.name.*.partial` behind, which is safe to delete.

    Args:
        folder: where the new folder goes; missing parents are made.
        write: called with the path of a new, empty folder to fill.

    Raises:
        OSError: of the kind that stopped it, such as `PermissionError`; nothing has changed.
    """
    folder = Path(folder)
    aside = stepped_aside(folder)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        write(partial)
        flush(partial)
        if folder.is_dir():
            shutil.rmtree(aside, ignore_errors=True)  # left by a crash after the second rename
            os.rename(folder, aside)
        os.rename(partial, folder)
    except BaseException as error:
        if aside.is_dir() and not folder.exists():
            os.rename(aside, folder)
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise plain_error(error, folder) from error
        raise
    flush_entries(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


def current(folder):
    """Where the contents of `folder` are: there, or aside if a crash stopped its replacement."""
    aside = stepped_aside(folder) if folder.name else folder
    return aside if not folder.exists() and aside.is_dir() else folder


def stepped_aside(folder):
    return folder.with_name(f".{folder.name}.old")


def flush(folder):
    """Wait until a folder and all that it holds are on disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    for path in [*folder.rglob("*"), folder]:
        if path.is_dir():
            flush_entries(path)


def flush_entries(folder):
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def plain_error(error, folder):
    """An error of the same kind and number that says what stopped the writing of `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason = "the disk is full. Free some space, or choose a folder on another disk"
    elif isinstance(error, PermissionError) or error.errno == errno.EROFS:
        reason = "there is no permission to write there. Choose another folder"
    else:
        reason = error.strerror or str(error)
    plain = type(error)(f"Cannot save to {str(folder)!r}: {reason}. Nothing was changed.")
    plain.errno = error.errno
    return plain
