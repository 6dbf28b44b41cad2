"""What every test gets: fixed seeds, the backend's name, and no network."""

import ipaddress
import os
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before anything imports TensorFlow
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before anything imports huggingface_hub
# Backends are held to one another and to references in float32: on a GPU, none may round to TF32.
os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # cuBLAS and cuDNN, whoever calls them
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")  # and XLA's own kernels

import keras
import pytest

pytest_plugins = ("tests.preset_fixtures", "tests.foreign")

# Files of few but long tests. Started last, one of them would keep a single worker busy.
SLOW_FILES = (
    "test_gpu_acceptance.py",
    "test_encoder_export.py",
    "test_seq2seq_export.py",
    "test_lstm_seq2seq.py",
    "test_readme.py",
    "test_examples.py",
    "test_parity.py",
    "test_foreign_folders.py",
    "test_causal_lm.py",
    "test_generation.py",
    "test_exporting.py",
    "test_backends.py",
    "test_seq2seq.py",
    "test_lstm.py",
    "test_recipes.py",
    "test_foreign_seq2seq.py",
    "test_beam.py",
    "test_requests.py",
    "test_compiled.py",
)


def pytest_addoption(parser):
    parser.addoption(
        "--everywhere",
        action="store_true",
        help="run on this backend too what the backends are held to one another for by other tests",
    )


def pytest_collection_modifyitems(config, items):
    """Begin with the slowest files; leave out what is slow to compile and seen on PyTorch."""
    ranks = {name: rank for rank, name in enumerate(SLOW_FILES)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(SLOW_FILES)))
    if not config.getoption("everywhere"):
        leave_out(items, config, "exhaustive")
    if keras.backend.backend() == "torch" or config.getoption("everywhere"):
        return
    leave_out(items, config, "slow_to_compile")


def leave_out(items, config, marker):
    marked = [item for item in items if item.get_closest_marker(marker)]
    config.hook.pytest_deselected(items=marked)
    items[:] = [item for item in items if item not in marked]


@pytest.fixture(autouse=True)
def seed():
    """Every test starts from the same random state."""
    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def backend():
    """The backend under test: "jax", "torch" or "tensorflow"."""
    return keras.backend.backend()


@pytest.fixture(scope="session")
def bpe():
    """A byte-level tokenizer of 320 ids."""
    from tests.tokenizers import TEXTS
    from zoo.tokenizers import BytePairTokenizer

    return BytePairTokenizer.train(TEXTS, 320)


@pytest.fixture(scope="session")
def word_piece():
    """A WordPiece tokenizer of 160 ids, in lower case."""
    from tests.tokenizers import TEXTS
    from zoo.tokenizers import WordPieceTokenizer

    return WordPieceTokenizer.train(TEXTS, 160)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A connection that leaves this machine is an error, however it is caught."""
    attempts = []

    def refuse(address):
        attempts.append(address)
        raise OSError(f"Tests use no network, but this one tried to reach {address!r}.")

    def guard(call):
        def checked(self, address):
            if self.family != socket.AF_UNIX and not is_loopback(address[0]):
                refuse(address)
            return call(self, address)

        return checked

    resolve = socket.getaddrinfo

    def checked_resolve(host, *args, **kwargs):
        if not is_loopback(host):
            refuse(host)
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guard(socket.socket.connect))
    monkeypatch.setattr(socket.socket, "connect_ex", guard(socket.socket.connect_ex))
    monkeypatch.setattr(socket, "getaddrinfo", checked_resolve)
    yield attempts
    if attempts:  # code that catches OSError must not hide it
        pytest.fail(f"Tests use no network, but this one tried to reach {attempts}.")


def is_loopback(host):
    """Whether a host name or address means this machine."""
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False
