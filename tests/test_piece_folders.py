"""Folders with SentencePiece models: T5, mBART and Marian translate text as transformers does."""

import io
import json
import warnings

import numpy as np
import pytest

import zoo
from tests.test_sentencepiece import LINES, theirs, train
from zoo.checkpoints.formats import sentencepiece as spm
from zoo.tokenizers import Tokenizer

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES = {
    "d_model": 12,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 20,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "max_position_embeddings": 64,
    "scale_embedding": True,
}
TEXTS = ["The Queen said nothing.", "“Off with her head!”  cried naïve Alice", "Ⅻ ﬁne"]


def write_json(path, contents):
    path.write_text(json.dumps(contents), encoding="utf-8")


def t5(folder):
    (folder / "spiece.model").write_bytes(train(pad_id=0, eos_id=1, unk_id=2, bos_id=-1))
    sizes = {"vocab_size": 704, "d_model": 12, "d_kv": 6, "d_ff": 20, "num_layers": 1}
    config = transformers.T5Config(**sizes, num_heads=2, decoder_start_token_id=0)
    return transformers.T5ForConditionalGeneration(config), transformers.T5Tokenizer


def mbart(folder, cls=None, num_languages=25, **more):
    data = train(normalization_rule_name="identity")  # transformers 5 does not normalise
    (folder / "sentencepiece.bpe.model").write_bytes(data)
    cls = cls or transformers.MBartTokenizer
    settings = {"tokenizer_class": cls.__name__, "src_lang": "fr_XX"}
    write_json(folder / "tokenizer_config.json", settings)
    size = 600 + 1 + num_languages + 1
    more = {"decoder_start_token_id": 600 + 1 + 3, "forced_eos_token_id": None, **more}
    config = transformers.MBartConfig(**SIZES, vocab_size=size, **more)
    return transformers.MBartForConditionalGeneration(config), cls


def mbart_50(folder):
    cls = transformers.MBart50Tokenizer
    return mbart(folder, cls, 52, decoder_start_token_id=2, forced_bos_token_id=604)


def marian(folder):
    files = {"source.spm": LINES[:2000], "target.spm": LINES[2000:4000]}
    pieces = set()
    for name, lines in files.items():
        file = io.BytesIO()
        settings = {"vocab_size": 400, "minloglevel": 2, "num_threads": 1}
        theirs.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=file, **settings
        )
        (folder / name).write_bytes(file.getvalue())
        pieces |= {piece.text for piece in spm.parse(file.getvalue(), name).pieces[3:]}
    tokens = ["</s>", "<unk>", *sorted(pieces), "<pad>"]
    write_json(folder / "vocab.json", {token: i for i, token in enumerate(tokens)})
    pad = len(tokens) - 1
    roles = {"pad_token_id": pad, "decoder_start_token_id": pad, "eos_token_id": 0}
    config = transformers.MarianConfig(
        **SIZES, **roles, vocab_size=pad + 1, activation_function="swish", forced_eos_token_id=None
    )
    model = transformers.MarianMTModel(config)
    model.generation_config.bad_words_ids = [[pad]]
    return model, transformers.MarianTokenizer


FOLDERS = {make.__name__: make for make in (t5, mbart, mbart_50, marian)}


@pytest.fixture(scope="module", params=FOLDERS)
def trio(request, tmp_path_factory):
    """A model and a tokenizer of theirs, and our task of their folder."""
    folder = tmp_path_factory.mktemp(request.param)
    model, cls = FOLDERS[request.param](folder)
    torch.manual_seed(0)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "embed_positions" not in key or weight.requires_grad:
                is_gain = "norm" in key and key.endswith("weight")
                weight.normal_(float(is_gain), 0.1 if key.endswith("bias") else 0.5)
    model.save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Recommended: pip install sacremoses")
        tokenizer = cls.from_pretrained(folder)
    return model.eval(), tokenizer, zoo.load(folder)


def rows_of(task, texts):
    return [task.pair_format.source_row(ids) for ids in task.tokenizer.encode(texts)]


def test_rows_are_theirs(trio):
    _, tokenizer, task = trio
    assert rows_of(task, TEXTS) == tokenizer(TEXTS)["input_ids"]


@pytest.mark.slow_to_compile
def test_texts_are_theirs(trio):
    model, tokenizer, task = trio
    for text in TEXTS:
        rows = tokenizer([text], return_tensors="pt")["input_ids"]
        ids = model.generate(rows, max_new_tokens=10 + task.special_tokens.num_given)
        expected = tokenizer.decode(ids[0], skip_special_tokens=True)
        assert task.generate(text, max_new_tokens=10).strip() == expected.strip()


def test_a_preset_keeps_tokenizer_and_roles(trio, tmp_path):
    _, _, task = trio
    zoo.save(task, tmp_path / "mine")
    again = zoo.load(tmp_path / "mine")
    assert again.special_tokens == task.special_tokens
    assert rows_of(again, TEXTS) == rows_of(task, TEXTS)
    assert again.tokenizer == task.tokenizer
    assert again.tokenizer.for_targets.encode(TEXTS) == task.tokenizer.for_targets.encode(TEXTS)


def test_what_is_written_is_opened_there(trio, tmp_path):
    _, _, task = trio
    zoo.save(task, tmp_path / "theirs", format="transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    assert tokenizer(TEXTS)["input_ids"] == rows_of(task, TEXTS)
    again = zoo.load(tmp_path / "theirs")
    assert again.special_tokens == task.special_tokens
    assert rows_of(again, TEXTS) == rows_of(task, TEXTS)
    assert again.tokenizer.for_targets.encode(TEXTS) == task.tokenizer.for_targets.encode(TEXTS)


@pytest.mark.slow_to_compile
def test_learns_pairs_of_texts(trio):
    _, _, task = trio
    pairs = [("The Queen", "said nothing"), ("Alice", "cried")] * 2
    before = task.evaluate(pairs, verbose=0)[0]
    task.compile("adam")
    task.fit(pairs, epochs=3, verbose=0)
    assert task.evaluate(pairs, verbose=0)[0] < before


@pytest.mark.backend_free
def test_marian_encodes_targets_by_their_own_model(tmp_path):
    marian(tmp_path)
    from zoo.checkpoints.pieces import read_marian

    tokenizer = read_marian(tmp_path)
    other = tokenizer.for_targets
    assert other is not tokenizer
    assert other.vocab_size == tokenizer.vocab_size
    different = np.array(
        [a != b for a, b in zip(tokenizer.encode(LINES), other.encode(LINES), strict=True)]
    )
    assert 0.1 < different.mean() < 1
    assert Tokenizer.from_json(tokenizer.to_json()) == tokenizer
