"""What zoo.save writes for transformers is converted and run by CTranslate2: the same ids."""

import json

import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import TEXTS, with_weights
from zoo.tokenizers import SpecialTokens

ctranslate2 = pytest.importorskip("ctranslate2")
pytest.importorskip("transformers")

pytestmark = pytest.mark.slow_to_compile

SIZES = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "max_length": 128, "dropout": 0.0}
SOURCES = [*TEXTS, "The sea", "x"]


def bart(**how):
    """BART's own names of special tokens, by which the converter finds them."""
    names = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    words = zoo.tokenizers.BytePairTokenizer.train(TEXTS, 300, special_tokens=names)
    backbone = zoo.models.BART(words.vocab_size, **SIZES, num_decoder_layers=1, **how)
    special = SpecialTokens.of(words)
    special = SpecialTokens(**special.get_config() | {"decoder_start": 2})
    return zoo.Seq2SeqLM(backbone, words, source_start=not how, special_tokens=special)


def marian():
    names = ("</s>", "<unk>")
    words = zoo.tokenizers.BytePairTokenizer.train(TEXTS, 299, special_tokens=names)
    contents = words.to_json()
    words = zoo.tokenizers.Tokenizer.from_json(with_padding(contents))
    pad = words.vocab_size - 1
    backbone = zoo.models.Marian(words.vocab_size, **SIZES)
    special = {"stop": 0, "padding": pad, "decoder_start": pad, "never": pad, "unknown": 1}
    return zoo.Seq2SeqLM(backbone, words, special_tokens=special)


def with_padding(contents):
    """A tokenizer.json with `<pad>` as its last token, where Marian has it."""
    contents = json.loads(contents)
    token = {**contents["added_tokens"][0], "content": "<pad>"}
    token["id"] = len(contents["model"]["vocab"])
    contents["model"]["vocab"]["<pad>"] = token["id"]
    contents["added_tokens"].append(token)
    return json.dumps(contents)


MODELS = {"bart": bart, "mbart": lambda: bart(pre_norm=True, scaled=True), "marian": marian}


def converted(folder):
    """CTranslate2's own model of a folder of transformers."""
    converter = ctranslate2.converters.TransformersConverter(str(folder / "theirs"))
    converter.convert(str(folder / "converted"))
    return ctranslate2.Translator(str(folder / "converted"), intra_threads=1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", MODELS)
def test_runs_what_we_write(name, tmp_path):
    model = with_weights(MODELS[name](), 0.3)
    if name == "marian":  # whose decoder starts from a row of zeros, as in the toolkit itself
        table = model.backbone.token_embedding.embeddings
        is_padding = np.arange(table.shape[0])[:, None] == model.special_tokens.padding
        table.assign(np.where(is_padding, 0, ops.convert_to_numpy(table)))
    zoo.save(model, tmp_path / "theirs", format="transformers")
    translator = converted(tmp_path)
    words = model.tokenizer
    rows = [model.pair_format.source_row(ids) for ids in words.encode(SOURCES)]
    spelled = [[words.id_to_token(i) for i in row] for row in rows]
    # mBART's converter leaves it to the caller to say what targets start from.
    start = [words.id_to_token(model.special_tokens.before_target)] if name == "mbart" else []
    results = translator.translate_batch(
        spelled,
        target_prefix=[start] * len(spelled),
        beam_size=1,
        max_decoding_length=12,
    )
    found = [[words.token_to_id(token) for token in one.hypotheses[0]] for one in results]
    expected = model.generate(words.encode(SOURCES), max_new_tokens=12)
    assert len({tuple(ids) for ids in expected}) > 1
    assert found == expected


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_runs_a_preset_of_ours(tmp_path):
    """A Pegasus to them: the same texts."""
    model, texts = zoo.load("transformer-small-en-fr"), ["The house is red.", "Nobody knows."]
    zoo.save(model, tmp_path / "theirs", format="transformers")
    words = model.tokenizer
    rows = [model.pair_format.source_row(ids) for ids in words.encode(texts)]
    spelled = [[words.id_to_token(i) for i in row] for row in rows]
    results = converted(tmp_path).translate_batch(spelled, beam_size=1, max_decoding_length=20)
    ids = [[words.token_to_id(token) for token in one.hypotheses[0]] for one in results]
    assert words.decode(ids) == model.generate(texts, max_new_tokens=20)
