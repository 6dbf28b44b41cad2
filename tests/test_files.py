"""Files replaced in one step: old or new, never half, and with the permissions of any other."""

import errno
import os
import re
import subprocess
import sys

import pytest

from zoo.files import replacing, write_atomically

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize("data", ["über\r\nzwei\n", b"\x00\xff", "", b""])
def test_what_is_written_is_what_stands_there(tmp_path, data):
    path = tmp_path / "new" / "folder" / "a.txt"
    for _ in range(2):
        write_atomically(path, data)
        assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert os.listdir(path.parent) == ["a.txt"]


def test_a_name_as_long_as_names_may_be(tmp_path):
    write_atomically(tmp_path / ("n" * 255), "x")
    assert os.listdir(tmp_path) == ["n" * 255]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(tmp_path, mask):
    code = (
        f"import os, sys; sys.path.insert(0, {str(tmp_path)!r}); os.umask({mask})\n"
        "from zoo.files import write_atomically\n"
        "write_atomically('a', 'x'); open('b', 'x').close()\n"
        f"assert os.umask(0) == {mask}"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    modes = {(tmp_path / name).stat().st_mode & 0o777 for name in "ab"}
    assert modes == {0o666 & ~mask}


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_block_that_raises_changes_nothing(tmp_path, error):
    def stopped():
        with replacing(path) as scratch:
            scratch.write_text("half")
            raise error

    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(type(error)):
        stopped()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (
            PermissionError(errno.EACCES, "Permission denied"),
            "there is no permission to write there",
        ),
        (OSError("odd"), "odd"),
    ],
)
def test_what_stops_a_write_is_said_with_the_path(tmp_path, monkeypatch, error, reason):
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, "replace", fail)
    pattern = re.escape(f"Cannot write {str(path)!r}: ") + reason
    with pytest.raises(type(error), match=pattern) as caught:
        write_atomically(path, "new")
    assert caught.value.errno == error.errno
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_is_none_is_said_with_the_path(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match=f"Cannot write '{tmp_path}/file/a': "):
        write_atomically(tmp_path / "file" / "a", "x")
