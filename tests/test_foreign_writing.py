"""Folders that zoo.save writes for transformers: opened there, and here again."""

import itertools
import json

import keras
import numpy as np
import pytest
from safetensors import safe_open

import zoo
from tests.models import TEXTS, tiny_backbone, tiny_gpt, tiny_lstm, with_weights, word_pieces
from zoo.data.rows import RowFormat
from zoo.tokenizers import BytePairTokenizer, SpecialTokens

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

LINES = ["Nobody spoke.", "“Come in,” said the captain; — he laughed.", "数字 🙂 naïve café", ""]


def save(model, folder, **arguments):
    zoo.save(model, folder, format="transformers", **arguments)
    return folder


def read(folder, name="config.json"):
    return json.loads((folder / name).read_text())


def roberta(padding_first=False):
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    names = sorted(names, key=lambda name: name != "<pad>") if padding_first else names
    tokenizer = BytePairTokenizer.train(TEXTS, 300, special_tokens=names)
    sizes = {"num_layers": 1, "num_heads": 2, "hidden_dim": 16, "max_length": 80}
    backbone = zoo.models.RoBERTa(vocab_size=tokenizer.vocab_size, dropout=0.0, **sizes)
    return with_weights(zoo.MaskedLM(backbone, tokenizer))


def distilbert(**task):
    backbone = tiny_backbone(zoo.models.DistilBERT, max_length=80)
    return zoo.TextClassifier(backbone, word_pieces(), labels=["neg", "pos"], **task)


MODELS = {
    "gpt": tiny_gpt,
    "bert": lambda: with_weights(zoo.MaskedLM(tiny_backbone(max_length=80), word_pieces())),
    "roberta": roberta,
    "distilbert": distilbert,
}


@pytest.mark.parametrize("name", MODELS)
def test_their_tokenizer_makes_our_rows(name, tmp_path):
    """Texts, and for encoders pairs of them with their segments."""
    model = MODELS[name]()
    theirs = transformers.AutoTokenizer.from_pretrained(save(model, tmp_path / "saved"))
    if name == "gpt":
        assert theirs(LINES)["input_ids"] == model.tokenizer.encode(LINES)
        assert theirs.eos_token_id == model.special_tokens.end
        assert "token_type_ids" not in theirs("text")  # which would be added to the embeddings
        return
    for texts in (LINES, list(itertools.pairwise(LINES))):
        form = RowFormat(model.tokenizer, model.backbone, model.special_tokens)
        rows, ours = theirs(texts), form.encode(texts).inputs
        for place, ids in enumerate(rows["input_ids"]):
            assert ours["token_ids"][place].tolist() == ids
            if "segment_ids" in ours:
                assert ours["segment_ids"][place].tolist() == rows["token_type_ids"][place]
    special = model.special_tokens
    assert (theirs.cls_token_id, theirs.sep_token_id) == (special.start, special.between)
    assert (theirs.pad_token_id, theirs.mask_token_id) == (special.padding, special.mask)


def test_a_text_is_continued_alike(tmp_path):
    model = tiny_gpt()
    folder = save(model, tmp_path / "saved")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    batch = tokenizer("The sea was", return_tensors="pt")
    written = theirs.generate(**batch, do_sample=False, max_new_tokens=12)[0]
    expected = tokenizer.decode(written, skip_special_tokens=True)
    assert model.generate("The sea was", 12, "greedy") == expected


@pytest.mark.parametrize("name", MODELS)
def test_it_comes_back_as_it_was(name, tmp_path):
    model = MODELS[name]()
    loaded = zoo.load(save(model, tmp_path / "saved"))
    assert type(loaded) is type(model)
    assert loaded.special_tokens == model.special_tokens
    assert loaded.backbone.get_config() | {"name": ""} == {
        **model.backbone.get_config(),
        "mlp_dim": 4 * model.backbone.hidden_dim,
        "attention_dropout": 0.0,
        "name": "",
    }
    for one, other in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))


def test_several_stops_and_a_start_are_kept(tmp_path):
    tokens = SpecialTokens(start=7, stop=(3, 5))
    model = zoo.CausalLM(tiny_gpt().backbone, tiny_gpt().tokenizer, special_tokens=tokens)
    folder = save(model, tmp_path / "saved")
    assert read(folder, "generation_config.json")["eos_token_id"] == [3, 5]
    assert zoo.load(folder).special_tokens == SpecialTokens(start=7, stop=(3, 5))


@pytest.mark.parametrize("format", ["zoo", "transformers"])
def test_shards_and_halves(format, tmp_path):
    model = tiny_gpt()
    zoo.save(model, tmp_path / "saved", "bfloat16", format, max_shard_size="10KB")
    shards = sorted((tmp_path / "saved").glob("model-*-of-*.safetensors"))
    assert len(shards) > 1
    with safe_open(shards[0], "np") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.offset_keys()}
    assert kinds == {"BF16"}
    whole = zoo.load(tmp_path / "saved")
    zoo.save(whole, tmp_path / "saved", format=format)  # the shards go
    assert not list((tmp_path / "saved").glob("model-*"))
    for one, other in zip(whole.weights, zoo.load(tmp_path / "saved").weights, strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, other)))
    if format == "transformers":
        assert read(tmp_path / "saved")["dtype"] == "float32"


@pytest.mark.parametrize("how", ["pytorch_model.bin", "shards"])
def test_every_form_of_their_weights_is_read(how, tmp_path):
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=31, n_positions=16)
    ).eval()
    theirs.save_pretrained(tmp_path, max_shard_size="1KB" if how == "shards" else "5GB")
    if how != "shards":
        (tmp_path / "model.safetensors").unlink()
        state = theirs.state_dict() | {"transformer.h.0.attn.masked_bias": torch.tensor(-1e4)}
        torch.save(state, tmp_path / how)
    ids = np.array([[3, 1, 4, 1, 5]])
    with torch.no_grad():
        expected = theirs(torch.from_numpy(ids)).logits.numpy()
    found = keras.ops.convert_to_numpy(zoo.load(tmp_path)(ids.astype("int32")))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_embedder_is_one_for_sentence_transformers(tmp_path):
    model = zoo.TextEmbedder(tiny_backbone(), word_pieces())
    folder = save(model, tmp_path / "saved")
    kinds = [module["type"].split(".")[-1] for module in read(folder, "modules.json")]
    assert kinds == ["Transformer", "Pooling", "Normalize"]
    assert read(folder, "1_Pooling/config.json")["pooling_mode_mean_tokens"] is True
    assert isinstance(zoo.load(folder), zoo.TextEmbedder)


def bert(**arguments):
    return zoo.MaskedLM(tiny_backbone(**arguments))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            tiny_lstm,
            "transformers has no model that is this CausalLM over a LSTM",
        ),
        (lambda: bert(num_segments=0), "type_vocab_size|must have the weights 'segment_embedding"),
        (lambda: distilbert(pooling="mean"), "its pooling must be 'first_relu'; got 'mean'"),
        (
            lambda: zoo.MaskedLM(tiny_backbone(zoo.models.DistilBERT, norm_epsilon=1e-6)),
            "its norm_epsilon must be 1e-12; got 1e-06",
        ),
        (lambda: roberta(padding_first=True), "pad_token_id must be 1 .* this task has 0"),
    ],
    ids=["family", "segments", "pooling", "epsilon", "padding"],
)
def test_what_they_have_no_place_for_is_refused(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save(make(), tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_a_format_that_is_none_and_a_folder_that_is_not_ours(tmp_path):
    model = tiny_gpt()
    with pytest.raises(ValueError, match=r"format must be one of zoo, transformers.*; got 'onnx'"):
        zoo.save(model, tmp_path / "saved", format="onnx")
    theirs = transformers.GPT2Config()
    theirs.save_pretrained(tmp_path / "theirs")
    with pytest.raises(FileExistsError, match="holds something other than a preset"):
        save(model, tmp_path / "theirs")
    save(model, tmp_path / "saved")
    zoo.save(model, tmp_path / "saved")  # and back
    assert "format_version" in read(tmp_path / "saved")
    assert not (tmp_path / "saved" / "generation_config.json").exists()
