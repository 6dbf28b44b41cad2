"""Packages of Debian, read without being installed."""

import io
import pathlib
import tarfile

MAGIC = b"!<arch>\n"
HEADER_SIZE = 60


def read_members(path, wanted):
    """Contents of the wanted files of a .deb, `{path: bytes}`, sorted by path.

    Args:
        path: of the .deb.
        wanted: `path -> bool`; paths start with `./`.

    Raises:
        ValueError: if it is no .deb with files packed by gzip, bzip2 or xz.
    """
    for name, content in archive_members(pathlib.Path(path).read_bytes(), path):
        if name in ("data.tar", "data.tar.gz", "data.tar.bz2", "data.tar.xz"):
            with tarfile.open(fileobj=io.BytesIO(content)) as file:
                members = {
                    member.name: file.extractfile(member).read()
                    for member in file
                    if member.isfile() and wanted(member.name)
                }
            return dict(sorted(members.items()))
    raise ValueError(f"{path} must hold a data.tar, packed by gzip, bzip2 or xz; it has none.")


def archive_members(content, path):
    """`(name, bytes)` of each member of a Unix archive, which a .deb is (ar(5), deb(5))."""
    if not content.startswith(MAGIC):
        raise ValueError(f"{path} must be a Debian package; it does not start as one.")
    start = len(MAGIC)
    while start < len(content):
        header = content[start : start + HEADER_SIZE]
        size = header[48:58].strip()
        start += HEADER_SIZE
        if header[58:] != b"`\n" or not size.isdigit() or start + int(size) > len(content):
            raise ValueError(f"{path} is damaged near byte {start - HEADER_SIZE}: fetch it again.")
        yield header[:16].decode("latin-1").rstrip(" /"), content[start : start + int(size)]
        start += int(size) + int(size) % 2  # members start at even bytes
