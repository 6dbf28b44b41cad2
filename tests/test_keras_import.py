"""`import zoo` imports the backend that was chosen, and no other."""

import os
import subprocess
import sys

import pytest

# TensorFlow imports JAX by itself.
OTHERS = {"jax": ["tensorflow", "torch"], "torch": ["jax", "tensorflow"], "tensorflow": ["torch"]}


def run(backend, code):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, env=environment, text=True, stderr=subprocess.DEVNULL)


@pytest.mark.backend_free
@pytest.mark.parametrize("backend", sorted(OTHERS))
def test_no_other_backend_is_imported(backend):
    code = "import sys, zoo; print(*[name for name in {} if name in sys.modules])"
    assert run(backend, code.format(OTHERS[backend])).split() == []


@pytest.mark.backend_free
def test_jax_can_be_imported_afterwards():
    assert run("torch", "import zoo, jax; print(jax.numpy.ones(2).sum())").strip() == "2.0"


@pytest.mark.backend_free
def test_keras_may_have_been_imported_before():
    code = "import keras, zoo; print(zoo.__version__, keras.backend.backend())"
    assert run("torch", code).split()[-1] == "torch"
