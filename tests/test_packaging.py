"""What gets installed is what the tree holds, and it works on its own."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {"zoo": "zoo", "presets": "zoo/presets", "training": "zoo/training"}
PRESETS = sorted(path.parent.name for path in ROOT.glob("presets/*/config.json"))


def run(command, cwd, **environment):
    """Run a command far from the repository and return what it prints."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def source_files():
    """Every file that belongs in a wheel, as `(path in the tree, path in the wheel)`."""
    for folder, installed in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*")):
            inside = path.relative_to(ROOT / folder)
            data = folder == "presets" and len(inside.parts) == 2 and path.suffix != ".pyc"
            if path.is_file() and (data or path.suffix == ".py"):
                yield path.relative_to(ROOT), f"{installed}/{inside.as_posix()}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the source archive as a release is: this tests both."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    # A copy, so that a stale build folder neither gets in nor stays behind.
    names = ["pyproject.toml", "README.md", "LICENSE"]
    for name in [*names, *(path for path, _ in source_files())]:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source], cwd=source)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A folder with nothing in it but the unpacked wheel."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.mark.backend_free
def test_package_list_equals_tree():
    packages = set()
    for folder, installed in FOLDERS.items():
        for path in (ROOT / folder).rglob("__init__.py"):
            inside = path.parent.relative_to(ROOT / folder)
            packages.add(".".join((*Path(installed).parts, *inside.parts)))
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages
    strays = {
        path.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert not strays, "modules in a folder without __init__.py are not installed"


@pytest.mark.backend_free
def test_wheel_holds_the_tree_and_nothing_else(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {name for _, name in source_files()}


def test_wheel_imports_on_its_own(installed, tmp_path, backend):
    code = """
import importlib, importlib.resources, sys
import zoo
print(zoo.__file__)
for name in sys.argv[1:]:
    print(importlib.import_module(name).__file__)
print(*sorted(p.name for p in importlib.resources.files("zoo.presets").iterdir() if p.is_dir()))
"""
    packages = PROJECT["tool"]["setuptools"]["packages"]
    command = [sys.executable, "-c", code, *packages]
    *files, presets = run(command, tmp_path, PYTHONPATH=str(installed)).splitlines()
    assert all(Path(file).is_relative_to(installed) for file in files), files
    assert presets.split() == PRESETS


def test_works_with_one_backend_alone(tmp_path, backend):
    code = '''
import sys

class Without:
    """An import finder that does not see some packages, as if they were not installed."""

    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.argv[1:]:
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]

import numpy as np
import zoo

backbone = zoo.models.GPT(
    vocab_size=11, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=16, max_length=16
)
model = zoo.CausalLM(backbone)
ids = np.random.default_rng(0).integers(11, size=(4, 9))
history = model.fit(ids, batch_size=2, epochs=1, verbose=0)
assert np.isfinite(history.history["loss"]).all(), history.history
present = set(sys.argv[1:]) & {name.partition(".")[0] for name in sys.modules}
assert not present, present
'''
    others = {"jax", "torch", "tensorflow"} - {backend}
    optional = {"tensorflow_text", "keras_nlp", "keras_hub", "grain"}
    development = {"hypothesis", "matplotlib", "pytest", "transformers"}
    run([sys.executable, "-c", code, *sorted(others | optional | development)], tmp_path)


@pytest.mark.backend_free
def test_no_machine_is_named():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    places = [rf"/{name}/" for name in ("tmp/env", "work", "root")]
    registries = ["py" + r"pi\.org", "python" + "hosted", "npm" + r"js\."]
    named = re.compile("|".join(places + registries).encode())
    files = {ROOT / os.fsdecode(name) for name in listed.stdout.split(b"\0") if name}
    found = {
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in files
        if path.is_file()
        for match in named.finditer(path.read_bytes())
    }
    assert not found


@pytest.mark.backend_free
def test_the_network_is_closed(no_network):
    with pytest.raises(OSError, match="Tests use no network"):
        socket.create_connection(("192.0.2.1", 80))  # an address kept for documentation
    with pytest.raises(OSError, match="Tests use no network"):
        socket.getaddrinfo("example.org", 80)
    assert no_network == ["192.0.2.1", "example.org"]
    no_network.clear()
