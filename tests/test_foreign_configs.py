"""The config.json of transformers as a preset's, and what of it is refused."""

import shutil

import pytest

import zoo
from benchmarks.parity.cases import BERT, ROBERTA
from tests.foreign import change_config
from zoo import checkpoints
from zoo.config import OPTIONAL_SECTIONS, SECTIONS

backend_free = pytest.mark.backend_free


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
        **{section: SECTIONS[section]() for section in OPTIONAL_SECTIONS},
        "format_version": 1,
        "family": "bert",
        "task": "masked_lm",
        "backbone": {
            "vocab_size": 131,
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
