"""Models of a hub: fetched, pinned, refused in words, and pushed."""

import errno
import json

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import load

import zoo
from benchmarks.hostile.torch_zip import torch_zip
from tests.hub_server import COMMIT, running
from tests.models import tiny_gpt
from zoo import downloads, hub
from zoo.short_names import SHORT_NAMES
from zoo.tensors import InMemory, write_folder

pytestmark = pytest.mark.backend_free
NAME = "me/tiny"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """What transformers would have put there, and more than zoo reads."""
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    zoo.save(tiny_gpt(), folder, format="transformers")
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {**found, "pytorch_model.bin": b"old", "tf_model.h5": b"old", "onnx/model.onnx": b"o"}


@pytest.fixture
def server(monkeypatch, tmp_path, files):
    with running() as (server, address):
        server.models[NAME] = dict(files)
        monkeypatch.setattr(constants, "ENDPOINT", address)
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        yield server


def test_a_model_is_fetched_once_and_pinned(server, tmp_path):
    model = zoo.load(f"hf://{NAME}")
    assert model.source == f"hf://{NAME}@{COMMIT}"
    assert model.generate("the sea", 4, "greedy") == tiny_gpt().generate("the sea", 4, "greedy")
    assert sorted(set(server.fetched)) == sorted(server.fetched)
    assert "model.safetensors" in server.fetched
    assert not {"pytorch_model.bin", "tf_model.h5", "onnx/model.onnx"} & set(server.fetched)
    server.fetched.clear()
    zoo.load(NAME, revision=COMMIT)
    zoo.load(model.source)
    assert not server.fetched
    zoo.save(model, tmp_path / "mine")
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config["card"]["source"] == model.source
    assert "base_model: me/tiny" in (tmp_path / "mine" / "README.md").read_text()
    assert zoo.load(tmp_path / "mine").source == model.source


def test_an_architecture_alone_fetches_no_weights(server):
    zoo.load(NAME, weights=False)
    assert "model.safetensors" not in server.fetched


def test_without_a_network_the_cache_counts(server, monkeypatch):
    zoo.load(f"hf://{NAME}")
    for name, value in (("ENDPOINT", "http://127.0.0.1:1"), ("HF_HUB_OFFLINE", True)):
        monkeypatch.setattr(constants, name, value)
        assert zoo.load(f"hf://{NAME}").source == f"hf://{NAME}@{COMMIT}"
        with pytest.raises(ConnectionError, match=rf"hf://me/other was not.*has hf://{NAME}\."):
            zoo.load("hf://me/other")
    with pytest.raises(ConnectionError, match="HF_HUB_OFFLINE is set"):
        zoo.load("gpt2")  # of which an architecture is bundled


def test_weights_that_are_not_cached_are_said(server, monkeypatch):
    zoo.load(NAME, weights=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConnectionError, match="is not in the cache"):
        zoo.load(f"hf://{NAME}")


def test_what_breaks_off_goes_on(server):
    server.cut = 2
    zoo.load(f"hf://{NAME}")
    assert server.fetched.count("model.safetensors") == 3


def test_names_and_permissions(server):
    with pytest.raises(FileNotFoundError, match=r"no model hf://me/none on http.*\(404\)\. Check"):
        zoo.load("hf://me/none")
    with pytest.raises(FileNotFoundError, match="has no revision 'v9'"):
        zoo.load(NAME, revision="v9")
    server.private.add(NAME)
    with pytest.raises(PermissionError, match=r"log in with `hf auth login` or set HF_TOKEN"):
        zoo.load(f"hf://{NAME}")
    with pytest.raises(ValueError, match="revision is of a model on a hub"):
        zoo.load("gpt-tiny", revision="v9")
    with pytest.raises(ValueError, match="its revision once"):
        zoo.load("hf://me/tiny@main", revision="main")


def test_a_token_opens_what_is_private(server, monkeypatch):
    server.private.add(NAME)
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert zoo.load(f"hf://{NAME}").source


def test_a_file_of_another_size_or_content_is_refused(server):
    server.lies.add("model.safetensors")
    with pytest.raises(OSError, match="hf://me/tiny was not fetched: Consistency check failed"):
        zoo.load(f"hf://{NAME}")
    server.lies.clear()
    server.models["me/changed"] = server.models[NAME]
    server.changed.add("model.safetensors")
    with pytest.raises(OSError, match="not the file that the hub has: its sha256 must be"):
        zoo.load("hf://me/changed")
    server.changed.clear()
    zoo.load("hf://me/changed")  # it was removed


def test_a_full_disk_is_said(server, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download._download_to_tmp_and_move", full)
    with pytest.raises(OSError, match=r"me/tiny was not fetched: the disk is full\.") as caught:
        zoo.load(f"hf://{NAME}")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("how", ["shards", "bin", "nothing"])
def test_other_forms_of_weights_are_fetched(server, tmp_path, files, how):
    names = {name: data for name, data in files.items() if "model" not in name}
    arrays = load(files["model.safetensors"])
    if how == "bin":
        names["pytorch_model.bin"] = torch_zip(arrays)
    if how == "shards":
        write_folder(tmp_path, InMemory(arrays), "10KB")
        names |= {path.name: path.read_bytes() for path in tmp_path.glob("model*")}
        assert len(list(tmp_path.glob("model*.safetensors"))) > 1
    names.pop("manifest.json")
    server.models["me/other"] = names
    if how == "nothing":
        with pytest.raises(FileNotFoundError, match=r"hf://me/other has no weights that zoo reads"):
            zoo.load("hf://me/other")
        return
    np.testing.assert_array_equal(
        zoo.load("hf://me/other").score(["the sea"])[0], zoo.load(NAME).score(["the sea"])[0]
    )


def test_a_model_is_pushed_and_comes_back(server, monkeypatch):
    model = tiny_gpt(scale=0.1)
    with pytest.raises(PermissionError, match="hf auth login"):
        zoo.push(model, "me/mine")
    monkeypatch.setenv("HF_TOKEN", "secret")
    source = zoo.push(model, "me/mine", message="First")
    assert source == f"hf://me/mine@{COMMIT}"
    assert b'zoo.load("hf://me/mine")' in server.models["me/mine"]["README.md"]
    loaded = zoo.load(source)
    np.testing.assert_array_equal(loaded.score(["the sea"])[0], model.score(["the sea"])[0])
    with pytest.raises(ValueError, match="repo must be a name such as 'me/my-model'; got 'mine'"):
        zoo.push(model, "mine")
    with pytest.raises(ValueError, match=r"which are folders; got 'gguf'\. A file is put on a hub"):
        zoo.push(model, "me/mine", format="gguf")


def test_the_table_of_short_names_is_sound():
    for name, repo in SHORT_NAMES.items():
        assert hub.HUB_NAME.fullmatch(repo)
        assert not hub.is_path(name)
    trained = [name for name in hub.bundled() if hub.has_weights(name)]
    assert not set(trained) & set(SHORT_NAMES)


@pytest.mark.parametrize("folder", ["/x/models--me--tiny/snapshots/abc", "/x/tiny", "tiny"])
def test_the_source_of_a_folder(folder):
    expected = "hf://me/tiny@abc" if "snapshots" in folder else None
    assert downloads.source_of(folder) == expected
