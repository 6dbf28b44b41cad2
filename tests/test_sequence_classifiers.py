"""Classifiers over GPT, Llama and BART: their rows of texts, their numbers, both ways."""

import json

import keras
import numpy as np
import pytest

import zoo
from tests.models import TEXTS, VOCAB_SIZE, tokenizer, with_weights
from zoo.tokenizers import BytePairTokenizer, SpecialTokens

pytestmark = pytest.mark.slow_to_compile

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SIZES = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "max_length": 64, "dropout": 0.0}
LINES = ["Nobody spoke.", "“Come in,” said the captain; — he laughed.", "数字 🙂 naïve café"]
PAIRS = list(zip(LINES, LINES[::-1], strict=True))
ROUNDED = {"rtol": 1e-4, "atol": 1e-5}


def classifier(family, words=tokenizer, **task):
    words = words()
    backbone = getattr(zoo.models, family)(vocab_size=words.vocab_size, **SIZES)
    return with_weights(zoo.TextClassifier(backbone, words, ["joy", "anger", "fear"], **task))


def bart_words():
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    return BytePairTokenizer.train(TEXTS, VOCAB_SIZE, special_tokens=names)


MODELS = {
    "GPT": lambda: classifier("GPT"),
    "GPT, texts alone": lambda: classifier("GPT", add_special_tokens=False),
    "Llama": lambda: classifier("Llama"),
    "BART": lambda: classifier("BART", bart_words),
}
# By which id: the end token's is 0, in which rows end unless they are texts alone.
PADDED_BY = {"GPT": 1, "GPT, texts alone": 0, "Llama": 1, "BART": 1}


def their_logits(folder, texts):
    """Of the model and the tokenizer that transformers finds in a folder, all texts at once."""
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    words = transformers.AutoTokenizer.from_pretrained(folder)
    rows = words(texts)["input_ids"]
    longest, padding = max(map(len, rows)), theirs.config.pad_token_id
    ids = torch.tensor([row + [padding] * (longest - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    with torch.no_grad():
        return rows, theirs(ids, attention_mask=mask).logits.numpy()


@pytest.mark.parametrize("name", MODELS)
def test_texts_get_the_numbers_that_they_get_there_and_when_it_comes_back(name, tmp_path):
    model = MODELS[name]()
    zoo.save(model, tmp_path / "saved", format="transformers")
    texts = PAIRS if name == "BART" else LINES  # a pair has two end tokens there, as every other
    rows, expected = their_logits(tmp_path / "saved", texts)
    assert [row.tolist() for row in model.examples(texts).inputs["token_ids"]] == rows
    np.testing.assert_allclose(model.predict(texts, verbose=0), expected, **ROUNDED)

    back = zoo.load(tmp_path / "saved")
    for argument in ("pooling", "head_bias", "add_special_tokens", "labels", "problem"):
        assert getattr(back, argument) == getattr(model, argument), argument
    assert back.head_dropout == (model.head_dropout if name == "BART" else 0.0)  # theirs has none
    np.testing.assert_allclose(back.predict(texts, verbose=0), expected, **ROUNDED)
    assert back.special_tokens.padding == PADDED_BY[name]


def test_the_last_token_has_no_bias_unless_it_is_asked_for(tmp_path):
    assert not MODELS["GPT"]().head_bias
    model = classifier("GPT", head_bias=True)
    assert "classifier/bias" in {weight.path for weight in model.weights}
    with pytest.raises(ValueError, match="gpt2: its head_bias must be False; got True"):
        zoo.save(model, tmp_path / "saved", format="transformers")
    zoo.save(model, tmp_path / "preset")
    assert zoo.load(tmp_path / "preset").head_bias


def test_a_head_to_the_vocabulary_is_neither_wanted_nor_written(tmp_path):
    """Of an untied Llama: a classifier's file has none, a language model's has."""
    words = tokenizer()
    backbone = zoo.models.Llama(vocab_size=words.vocab_size, tied=False, **SIZES)
    zoo.save(with_weights(zoo.CausalLM(backbone, words)), tmp_path / "lm", format="transformers")
    with pytest.warns(UserWarning, match="has no weights for classifier, which start at random"):
        model = zoo.load(tmp_path / "lm", task="text_classification", labels=["a", "b"])
    zoo.save(model, tmp_path / "saved", format="transformers")
    _, expected = their_logits(tmp_path / "saved", LINES)
    back = zoo.load(tmp_path / "saved")
    np.testing.assert_allclose(back.predict(LINES, verbose=0), expected, **ROUNDED)
    with pytest.warns(UserWarning, match="has no weights for head, which start at random"):
        writer = zoo.load(tmp_path / "saved", task="causal_lm")
    for loaded in (back, writer):
        kernel = keras.ops.convert_to_numpy(loaded.backbone.head.kernel)
        assert 0.01 < kernel.std() < 0.03


def test_rows_without_special_tokens():
    """What the tokenizer's file puts first stays; an empty text is one token."""
    model = classifier("GPT", add_special_tokens=False)
    ids = model.tokenizer.encode(["calm", ""])
    rows = [row.tolist() for row in model.examples(["calm", ""]).inputs["token_ids"]]
    assert rows == [ids[0], [model.special_tokens.end]]
    pairs = model.examples([("calm", "sea")]).inputs["token_ids"]
    assert pairs[0].tolist() == model.tokenizer.encode("calm") + model.tokenizer.encode("sea")
    with pytest.warns(UserWarning, match="longer than the model's 64 tokens and were cut"):
        whole = model.examples(["the sea " * 64]).inputs["token_ids"][0]
    assert len(whole) == 64


def test_a_decoder_reads_again_behind_its_start():
    model = MODELS["BART"]()
    ids = np.array([[0, 9, 8, 2], [0, 7, 2, 1]], "int32")
    mask = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], "bool")
    start = model.special_tokens.before_target
    shifted = np.concatenate([np.full((2, 1), start), ids[:, :-1]], axis=1).astype("int32")
    inputs = {"token_ids": ids, "decoder_token_ids": shifted, "padding_mask": mask}
    hidden = keras.ops.convert_to_numpy(model.backbone(inputs))
    found = model.backbone.read_again(*map(keras.ops.convert_to_tensor, (ids, mask)), start)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(found), hidden, atol=1e-6)
    with pytest.raises(ValueError, match="padding_mask: a BART needs its padding on the right"):
        model.predict({"token_ids": ids, "padding_mask": mask[:, ::-1]}, verbose=0)
    given = SpecialTokens(decoder_start=start)
    same = zoo.TextClassifier(model.backbone, labels=["a", "b"], special_tokens=given)
    other = zoo.TextClassifier(model.backbone, labels=["a", "b"])  # from 0
    assert start == 0 or not np.allclose(same.predict(ids), other.predict(ids))
    model.freeze(1)
    trained = {weight.path.split("/")[0] for weight in model.trainable_weights}
    assert trained == {"decoder_block_0", "pooler", "classifier"}


@pytest.mark.slow_to_compile
def test_it_learns():
    model = classifier("BART", bart_words, head_dropout=0.0)
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    labels = ["joy", "anger", "fear"]
    model.fit(LINES, labels, epochs=40, verbose=0)
    assert [found["label"] for found in model.predict_labels(LINES)] == labels


def test_a_bias_is_never_lost(tmp_path):
    model = zoo.TextClassifier(zoo.models.GPT(300, 1, 2, 16), labels=["a", "b"], head_bias=True)
    zoo.save(model, tmp_path)
    with pytest.raises(ValueError, match="such as 'classifier/bias': it belongs to another model"):
        zoo.load(tmp_path, head_bias=False)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["task_arguments"]["head_bias"]  # saved before it was a choice
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "manifest.json").unlink()
    assert zoo.load(tmp_path).head_bias
