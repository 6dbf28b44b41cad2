"""Folders that change in one step, and paths that are checked before they are used."""

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path

from zoo.checks import MAX_NAME_BYTES, checked_path
from zoo.files import write_error

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

GRACE_SECONDS = 10  # between making a folder and locking it
ABANDONED_SECONDS = 24 * 3600  # where no lock tells, a folder this old has no writer


def replaceable_path(name):
    """The whole path of a folder that may be replaced; raises as `checked_path`, and for others."""
    path = checked_path(name)
    if not os.fspath(name).strip():
        raise ValueError("A folder must have a name, such as 'mine'; got none.")
    folder = path.resolve()
    here = Path.cwd()
    if folder == here or folder in here.parents:
        raise ValueError(
            f"The folder is replaced as a whole, so it must not be the working directory or one "
            f"around it; got {os.fspath(name)!r}. Name a folder inside, such as 'mine'."
        )
    return folder


def replace_folder(folder, write, finish=None):
    """Make or replace a folder in one step: a crash leaves the old one whole or the new one.

    The new folder is written beside the old one, flushed to disk and renamed. A non-empty folder
    cannot be renamed over, so the old one steps aside as `.name.old` first; `current` finds it
    there if the process is killed between the two renames. What a killed process leaves behind,
    `.name.*.partial`, goes when the folder is next replaced. Of several writers at once, the last
    one to finish is kept, whole.

    Args:
        folder: where the new folder goes; missing parents are made.
        write: called with the path of a new, empty folder to fill.
        finish: called at last, with the path of the old contents and that of the new, while no
            other writer changes either; None for nothing.

    Raises:
        OSError: of the kind that stopped it, such as `PermissionError`; nothing has changed.
    """
    folder = Path(folder)
    partial = hidden(folder, f"{secrets.token_hex(4)}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
        partial.mkdir()
        with locked(partial):  # says that its writer lives
            write(partial)
            with locked(folder.parent):
                if finish is not None:
                    finish(current(folder), partial)
                flush(partial)
                exchange(folder, partial)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise write_error(error, folder) from error
        raise


def exchange(folder, partial):
    """Put `partial` in the place of `folder`."""
    aside = stepped_aside(folder)
    try:
        if folder.is_dir():
            shutil.rmtree(aside, ignore_errors=True)  # left by a crash after the second rename
            os.rename(folder, aside)
        os.rename(partial, folder)
    except BaseException:
        if aside.is_dir() and not folder.exists():
            os.rename(aside, folder)
        raise
    flush_entries(folder.parent)
    shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def locked(folder):
    """Wait for whoever else has locked this folder; the lock goes with the process.

    Where there are no such locks, on Windows and some network disks, nobody waits.
    """
    handle = try_lock(folder, 0)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def try_lock(folder, flags):
    """An open handle that holds the lock; None where there are none.

    Raises:
        BlockingIOError: `flags` are `fcntl.LOCK_NB`, and another holds it.
    """
    if fcntl is None:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | flags)
        return handle
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:
        os.close(handle)
        return None


def remove_abandoned(folder):
    """Remove what writers of this folder have left behind that were killed."""
    prefix = hidden(folder, "").name
    for partial in folder.parent.glob(f"{glob.escape(prefix)}*.partial"):
        if is_abandoned(partial):
            shutil.rmtree(partial, ignore_errors=True)


def is_abandoned(partial):
    """Whether nobody holds its lock any more, or where there are none, nobody has for long."""
    try:
        age = time.time() - partial.stat().st_mtime
        handle = try_lock(partial, fcntl.LOCK_NB if fcntl else 0)
    except OSError:  # another writer holds it, or has just renamed it
        return False
    if handle is None:
        return age > ABANDONED_SECONDS
    os.close(handle)
    return age > GRACE_SECONDS


def current(folder):
    """Where the contents of `folder` are: there, or aside if a crash stopped its replacement."""
    aside = stepped_aside(folder) if folder.name else folder
    return aside if not folder.exists() and aside.is_dir() else folder


def stepped_aside(folder):
    return hidden(folder, "old")


def hidden(folder, ending):
    """A name beside a folder that says which one it belongs to."""
    name = folder.name
    if len(os.fsencode(name)) > MAX_NAME_BYTES - 32:  # there must be room for the rest
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return folder.with_name(f".{name}.{ending}")


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
