"""Weights of transformers: what becomes of their heads and dtypes, and refusals that say why."""

import warnings

import keras
import ml_dtypes
import numpy as np
import pytest

import zoo
from benchmarks.parity.cases import NAMED_CASES
from benchmarks.parity.check import batch_of, compare
from tests.foreign import build, change_tensors, load, numpy_of, values
from zoo import checkpoints


@pytest.mark.parametrize("name", ["BertForMaskedLM", "RobertaForMaskedLM"])
def test_half_precision_weights_are_widened(theirs, tmp_path, name):
    import torch

    reference, _ = theirs(name)
    dtype = torch.float16 if name.startswith("Bert") else torch.bfloat16
    rounded = type(reference)(reference.config).eval()
    rounded.load_state_dict(reference.state_dict())
    rounded.to(dtype).save_pretrained(tmp_path)
    model = load(tmp_path)
    assert compare(model, rounded.float(), batch_of(NAMED_CASES[name], model)) < 1e-4
    assert {str(array.dtype) for array in values(model).values()} == {"float32"}


def test_full_precision_weights_are_rounded_where_that_is_asked_for(theirs):
    model = zoo.load(theirs("GPT2LMHeadModel")[1], dtype="bfloat16")
    table = numpy_of(model.backbone.token_embedding.embeddings)
    expected = theirs("GPT2LMHeadModel")[0].transformer.wte.weight.detach().numpy()
    np.testing.assert_array_equal(table, expected.astype(ml_dtypes.bfloat16))


def test_old_and_prefixed_names_are_known(theirs, folder_of):
    """The first checkpoints call a norm's weights gamma and beta, and store position ids."""
    _, original = theirs("BertModel")
    folder = folder_of("BertModel")

    def as_of_old(tensors):
        renamed = {"bert.embeddings.position_ids": np.arange(19)[None]}
        for name, array in tensors.items():
            if "LayerNorm" in name:
                name = name.replace("weight", "gamma").replace("bias", "beta")
            renamed[f"bert.{name}"] = array
        return renamed

    change_tensors(folder, as_of_old)
    old, new = values(load(folder)), values(load(original))
    assert old.keys() == new.keys()
    for name in old:
        np.testing.assert_array_equal(old[name], new[name])


@pytest.mark.parametrize("name", ["BertForPreTraining", "RobertaForSequenceClassification"])
def test_zoo_load_takes_such_a_folder_and_zoo_save_makes_it_a_preset(theirs, tmp_path, name):
    _, folder = theirs(name)
    model = zoo.load(folder)
    zoo.save(model, tmp_path / "mine")
    assert not checkpoints.is_foreign(tmp_path / "mine")
    expected = values(load(folder))
    for loaded in (model, zoo.load(tmp_path / "mine")):
        for path, array in values(loaded).items():
            np.testing.assert_array_equal(array, expected[path])


# Which head gets what


def test_heads_of_the_same_kind_pass_between_tasks(theirs):
    _, folder = theirs("BertForPreTraining")
    pretrainer = values(load(folder))
    masked_lm = values(load(folder, "masked_lm"))
    with pytest.warns(UserWarning, match="has no weights for classifier, which start at random"):
        classifier = values(load(folder, "text_classification", labels=["a", "b"]))
    for model in (masked_lm, classifier):
        shared = [name for name in model if name in pretrainer]
        assert len(shared) >= len(model) - 2
        for name in shared:
            np.testing.assert_array_equal(model[name], pretrainer[name])
    assert "pooler/dense/kernel" in classifier
    assert "masked_lm_bias/bias" in masked_lm


@pytest.mark.parametrize("name", ["BertForTokenClassification", "DistilBertForTokenClassification"])
def test_a_head_of_another_task_is_not_taken(theirs, name):
    """Both are called `classifier` in their files."""
    _, folder = theirs(name)
    keras.utils.set_random_seed(3)
    with pytest.warns(UserWarning, match="has no weights for classifier, pooler, which"):
        model = load(folder, "text_classification", labels=["a", "b", "c"])
    keras.utils.set_random_seed(3)
    untouched = values(build(folder, "text_classification", labels=["a", "b", "c"]))
    loaded = values(model)
    for head in ("pooler/dense/kernel", "classifier/kernel"):
        np.testing.assert_array_equal(loaded[head], untouched[head])
    assert not np.array_equal(
        loaded["block_0/attention/qkv/kernel"], untouched["block_0/attention/qkv/kernel"]
    )


@pytest.mark.parametrize(
    ("task", "heads"),
    [
        ("masked_lm", "masked_lm_bias, masked_lm_transform"),
        ("pretraining", "masked_lm_bias, masked_lm_transform, next_sentence"),
        ("question_answering", "span"),
    ],
)
def test_a_head_that_is_missing_is_said(theirs, task, heads):
    _, folder = theirs("BertModel")
    with pytest.warns(UserWarning, match=f"has no weights for {heads}, which start at random"):
        load(folder, task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoints.load_weights(build(folder, task), folder, backbone_only=True)  # as asked


def test_a_file_of_the_very_task_must_have_its_head(folder_of):
    folder = folder_of("BertForSequenceClassification")
    change_tensors(folder, lambda t: {k: v for k, v in t.items() if "classifier" not in k})
    with pytest.raises(ValueError, match=r"2 are missing, such as 'classifier\.bias'"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "twin", "original"),
    [
        ("BertForMaskedLM", "cls.predictions.decoder.", "bert.embeddings.word_embeddings."),
        ("RobertaForMaskedLM", "lm_head.decoder.", "roberta.embeddings.word_embeddings."),
        ("DistilBertForMaskedLM", "vocab_projector.", "distilbert.embeddings.word_embeddings."),
    ],
)
def test_a_tied_table_may_be_repeated_but_not_differ(folder_of, name, twin, original):
    folder = folder_of(name)
    twin, original = f"{twin}weight", f"{original}weight"
    model = load(folder)
    expected = values(model)

    def assert_same():
        model.backbone.token_embedding.embeddings.assign(np.zeros((131, 24)))
        checkpoints.load_weights(model, folder)
        for path, array in values(model).items():
            np.testing.assert_array_equal(array, expected[path])

    change_tensors(folder, lambda t: {**t, twin: t[original]})
    assert_same()
    change_tensors(folder, lambda t: {k: v for k, v in t.items() if k != original})
    assert_same()
    change_tensors(folder, lambda t: {**t, original: t[twin] + 1})
    with pytest.raises(
        ValueError, match=r"must equal 'embeddings\.word_embeddings\.weight', since"
    ):
        checkpoints.load_weights(model, folder)
    load(folder, "embedding")


# Files that do not fit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda t: t.update({"encoder.layer.0.adapter.weight": np.zeros(3, "float32")}),
            r"1 are unknown, such as 'encoder\.layer\.0\.adapter\.weight'",
        ),
        (
            lambda t: t.pop("encoder.layer.1.attention.self.key.bias") is None,
            r"1 are missing, such as 'encoder\.layer\.1\.attention\.self\.key\.bias'",
        ),
        (
            lambda t: t.update({"embeddings.word_embeddings.weight": np.zeros((130, 24), "f4")}),
            r"embeddings\.weight' must have the shape \(131, 24\).*got \(130, 24\)",
        ),
        (
            lambda t: t.update({"encoder.layer.0.intermediate.dense.weight": np.zeros((24, 40))}),
            r"intermediate\.dense\.weight' must have the shape \(40, 24\).*got \(24, 40\)",
        ),
        (
            lambda t: t.update({"embeddings.LayerNorm.weight": np.ones(24, "int64")}),
            r"must be float32 \(or another floating-point dtype, which is rounded.*got int64",
        ),
        (
            lambda t: t.update({"embeddings.LayerNorm.gamma": np.ones(24, "float32")}),
            r"has two names for 'embeddings\.LayerNorm\.weight'",
        ),
    ],
    ids=["leftover", "missing", "shape", "transposed", "dtype", "twice"],
)
def test_a_file_that_does_not_fit_is_refused_whole(folder_of, embedder, change, message):
    folder = folder_of()
    change_tensors(folder, lambda tensors: change(tensors) and None)
    before = values(embedder)
    with pytest.raises(ValueError, match=message):
        checkpoints.load_weights(embedder, folder)
    for name, array in values(embedder).items():
        np.testing.assert_array_equal(array, before[name])


def test_weights_that_are_not_finite_are_refused(folder_of, embedder):
    folder = folder_of()
    change_tensors(folder, lambda t: t["pooler.dense.bias"].fill(np.nan))
    checkpoints.load_weights(embedder, folder)  # the embedding has no pooler
    change_tensors(folder, lambda t: t["encoder.layer.1.output.dense.bias"].fill(np.inf))
    with pytest.raises(ValueError, match=r"must be finite, but 'encoder\.layer\.1\.output"):
        checkpoints.load_weights(embedder, folder)
