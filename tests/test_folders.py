"""Folders are replaced whole or not at all, whoever dies or writes beside."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import zoo
from tests.preset_fixtures import assert_same, tiny, values
from zoo import folders

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EACCES, "no permission to write there"),
        (errno.EROFS, "no permission to write there"),
        (errno.EIO, "Input/output error"),
    ],
)
@pytest.mark.parametrize("where", ["os.fsync", "pathlib.Path.mkdir", "os.rename"])
def test_a_failing_disk_changes_nothing(saved, preset, monkeypatch, number, message, where):
    model, _ = saved
    before = {path.name: path.read_bytes() for path in preset.iterdir()}

    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(where, fail)
        with pytest.raises(
            OSError, match=f"Cannot write .*{message}.*Nothing was changed"
        ) as error:
            zoo.save(model, preset)
    assert error.value.errno == number
    assert {path.name: path.read_bytes() for path in preset.iterdir()} == before
    assert [path.name for path in preset.parent.iterdir()] == ["mine"]


def test_diverged_weights_change_nothing(preset):
    model = tiny()
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan, "float32"))
    before = {path.name: path.read_bytes() for path in preset.iterdir()}
    with pytest.raises(ValueError, match="training has diverged"):
        zoo.save(model, preset)
    assert {path.name: path.read_bytes() for path in preset.iterdir()} == before
    assert [path.name for path in preset.parent.iterdir()] == ["mine"]


@pytest.mark.backend_free
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_kill_at_any_point_leaves_one_whole_folder(tmp_path):
    """A child dies just before its n-th system call that matters, for every n."""
    code = """
        import os, shutil, signal, sys
        from pathlib import Path
        from zoo import folders, hub

        root = Path(sys.argv[1])
        os.fsync = lambda handle: None  # a kill, unlike a power cut, loses nothing written

        def write(version):
            def fill(folder):
                for name in ("config.json", "weights", "card"):
                    (folder / name).write_text(version * 1000)
            return fill

        def versions(folder):
            return {path.read_text()[:3] for path in folder.iterdir()}, len(list(folder.iterdir()))

        def save_and_die(folder, call):
            left = [call]
            def guard(function):
                def guarded(*args, **kwargs):
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return function(*args, **kwargs)
                return guarded
            for name in ("mkdir", "rename", "fsync", "open", "unlink", "rmdir"):
                setattr(os, name, guard(getattr(os, name)))
            folders.replace_folder(folder, write("new"))
            os._exit(0)

        seen = []
        for call in range(100):
            folder = root / str(call)
            folders.replace_folder(folder, write("old"))
            child = os.fork()
            if not child:
                save_and_die(folder, call)
            status = os.waitpid(child, 0)[1]
            whole = hub.resolve(folder)
            found, files = versions(whole)
            assert files == 3 and found in ({"old"}, {"new"}), (call, found, files)
            seen.append((found.pop(), whole == folder))
            folders.replace_folder(folder, write("two"))
            assert versions(folder) == ({"two"}, 3)
            assert not folders.stepped_aside(folder).exists()
            if os.WIFEXITED(status):
                break
        assert os.WIFEXITED(status), "more calls than expected"
        print(len(seen), ("old", True) in seen, ("old", False) in seen, ("new", True) in seen)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    calls, *outcomes = done.stdout.split()
    assert int(calls) > 8
    assert outcomes == ["True"] * 3  # before, between and after the two renames


@pytest.mark.slow_to_compile
def test_a_killed_save_leaves_a_preset_that_loads(preset):
    code = """
        import sys
        import keras
        import numpy as np
        import zoo
        model = zoo.load(sys.argv[1])
        for version in range(10**6):
            for weight in model.weights:
                weight.assign(np.full(weight.shape, version % 100, "float32"))
            zoo.save(model, sys.argv[1])
            if keras.backend.backend() != "tensorflow":
                assert "tensorflow" not in sys.modules  # Keras' serialisation would import it
            print(version, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), preset], stdout=subprocess.PIPE, text=True
    ) as saving:
        assert saving.stdout.readline() == "0\n"
        time.sleep(0.1)
        saving.send_signal(signal.SIGKILL)
    found = {value.min() for value in values(zoo.load(preset)).values()}
    found |= {value.max() for value in values(zoo.load(preset)).values()}
    assert len(found) == 1


# Several at once


@pytest.mark.backend_free
def test_of_two_writers_at_once_one_is_kept_whole(tmp_path):
    """Threads and processes alike replace one folder, and one reads it."""
    code = """
        import sys, threading
        from pathlib import Path
        from zoo import folders

        folder = Path(sys.argv[1])
        folders.os.fsync = lambda handle: None

        def write(version):
            def fill(new):
                for name in ("config.json", "weights", "card"):
                    (new / name).write_text(version * 1000)
            return fill

        def keep(old, new):
            if old.is_dir():
                (new / "kept").write_text((old / "config.json").read_text())

        def run(version):
            try:
                for _ in range(15):
                    folders.replace_folder(folder, write(version), keep)
            except BaseException as error:
                failed.append(error)

        failed = []
        threads = [threading.Thread(target=run, args=(v,)) for v in sys.argv[2:]]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not failed, failed
    """
    folder = tmp_path / "mine"
    command = [sys.executable, "-c", textwrap.dedent(code), folder]
    running = [subprocess.Popen([*command, *versions]) for versions in ("ab", "cd")]
    assert [process.wait() for process in running] == [0, 0]
    assert len({path.read_text() for path in folder.iterdir() if path.name != "kept"}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.backend_free
def test_what_the_killed_left_goes_with_the_next_save(tmp_path):
    folder = tmp_path / "mine"
    dead = folders.hidden(folder, "0123.partial")
    young, others = folders.hidden(folder, "4567.partial"), folders.hidden(folder, "89ab.partial")
    for path in (dead, young, others, tmp_path / ".other.0123.partial"):
        path.mkdir()
        (path / "weights").write_text("half")
        if path != young:
            os.utime(path, (0, 0))
    with folders.locked(others):  # its writer lives
        folders.replace_folder(folder, lambda new: (new / "a").write_text("a"))
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"mine", young.name, others.name, ".other.0123.partial"}


# Paths


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "A folder must have a name"),
        (" ", "A folder must have a name"),
        (".", "must not be the working directory or one around it"),
        ("..", "must not be the working directory or one around it"),
        ("/", "must not be the working directory or one around it"),
        ("~nobody-here/x", "There is no home folder"),
        ("a" * 256, r"names of at most 255 bytes, .*\.\.\."),
        ("é" * 128, "names of at most 255 bytes"),
        ("a/" * 2500, "and 4096 in all"),
        ("a\0b", "must not hold the character NUL"),
        ("\ud800", "must be valid Unicode"),
        (None, "given by its path"),
        (b"mine", "given by its path"),
        (3, "given by its path"),
    ],
)
def test_what_is_no_folder_to_save_to(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((TypeError, ValueError), match=message) as error:
        folders.replaceable_path(name)
    assert len(str(error.value)) < 400
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["~nobody-here/x", "a" * 256, "a\0b", "\ud800"])
def test_no_such_path_is_loaded(name):
    with pytest.raises(ValueError, match=r"path|home"):
        zoo.load(name)


@pytest.mark.parametrize("name", ["n" * 255, "\udcff", "a*[b]"])
def test_odd_names_will_do(name, tmp_path):
    model = tiny()
    for _ in range(2):
        zoo.save(model, tmp_path / name)
    assert_same(zoo.load(tmp_path / name), model)
    assert len(list(tmp_path.iterdir())) == 1


def test_the_working_directory_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (".", "", tmp_path, tmp_path.parent):
        with pytest.raises(ValueError, match=r"Name a folder inside|must have a name"):
            zoo.save(tiny(), name)
    assert not list(tmp_path.iterdir())
