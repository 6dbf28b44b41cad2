"""The rooms of the backends: the same names in each, and nowhere else a question which one runs."""

import ast
import importlib.resources
import os
import pathlib
import subprocess
import sys

import pytest

import zoo

pytestmark = pytest.mark.backend_free
ROOT = pathlib.Path(importlib.resources.files(zoo))
ROOMS = ROOT / "backends"
NAMES = ("jax", "tensorflow", "torch")

# What the rooms take of Keras that Keras does not promise to keep.
PRIVATE = [
    "keras.src.backend",
    "keras.src.backend.common.global_state",
    "keras.src.backend.common.stateless_scope.in_stateless_scope",
    "keras.src.backend.compute_output_spec",
    "keras.src.backend.distribution_lib",
    "keras.src.backend.rnn",
    "keras.src.backend.torch.core.get_device",
    "keras.src.backend.torch.core.to_torch_dtype",
    "keras.src.backend.torch.optimizers.torch_adam.Adam",
    "keras.src.backend.torch.optimizers.torch_adamw.AdamW",
    "keras.src.losses.loss.unscale_loss_for_distribution",
    "keras.src.models.cloning",
    "keras.src.trainers.data_adapters.data_adapter.DataAdapter",
    "keras.src.trainers.data_adapters.data_adapter_utils",
    "keras.src.trainers.data_adapters.tf_dataset_adapter.TFDatasetAdapter",
    "keras.src.utils.tracking.no_automatic_dependency_tracking",
]


def source(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def public_names(room):
    """`__all__` of a room, and the names that its module has."""
    tree, names = source(ROOMS / room / "__init__.py"), set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets}
            if node.targets[0].id == "__all__":
                listed = ast.literal_eval(node.value)
    return listed, names - {"__all__"}


def imported(tree, package):
    """Full names of what a file imports from a package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.startswith(package))


@pytest.mark.parametrize("room", NAMES)
def test_each_room_has_the_same_names(room):
    listed, present = public_names(room)
    assert set(listed) == present
    assert listed == public_names("jax")[0]


def test_what_is_listed_is_described():
    text = ast.get_docstring(source(ROOMS / "__init__.py"))
    described = text.replace(",", " ").split()
    assert not set(public_names("jax")[0]) - set(described)


def files_outside():
    return [path for path in ROOT.rglob("*.py") if ROOMS not in path.parents]


def test_nobody_else_asks_which_backend_runs():
    assert len(files_outside()) > 50
    for path in files_outside():
        calls = (node for node in ast.walk(source(path)) if isinstance(node, ast.Call))
        assert not [c for c in calls if ast.unparse(c.func) == "keras.backend.backend"], path
        assert not list(imported(source(path), "keras.src")), path


def test_private_names_of_keras_are_these():
    names = (name for path in ROOMS.rglob("*.py") for name in imported(source(path), "keras.src"))
    assert sorted(set(names)) == PRIVATE


@pytest.mark.parametrize("name", ["numpy"])
def test_another_backend_gets_a_sentence(name):
    environment = {**os.environ, "KERAS_BACKEND": name}
    command = [sys.executable, "-W", "ignore", "-c", "import zoo"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith(
        "ImportError: zoo runs on the Keras backends jax, tensorflow, torch; got"
    )
    assert "Set the environment variable KERAS_BACKEND" in last
