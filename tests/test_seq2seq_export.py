"""SavedModels of encoder-decoders: the targets that they write are those that the task writes."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import zoo
from tests.models import VOCAB_SIZE, random_ids, tiny_transformer, tokenizer, word_pieces
from tests.test_exporting import CONSUMER, as_bytes
from zoo.generation import Beam, Sampler

CONTEXT = 32
LENGTH = 16
SOURCES = ["The sea", "It was late, as", "x", "Come in, said he", "naïve 🙂", "of times", " "]
BEAMS = [(4, 0.6), (4, 2.0)]  # width, length penalty
SIZES = CONTEXT - 2, CONTEXT - 1, CONTEXT  # of sources, in tokens
DRAWN = 1.0, 0.9, 5  # temperature, top_p, seed
IS_TENSORFLOW = keras.backend.backend() == "tensorflow"


def transformer():
    task = {"source_start": True}
    model = tiny_transformer(max_length=CONTEXT, pre_norm=True, position="learned", task=task)
    return with_varied_targets(model, seed=11, scale=1.0, weight_of_end=2.0)


def lstm():
    size = {"num_layers": 1, "hidden_dim": 16, "max_length": CONTEXT, "dropout": 0.0}
    backbone = zoo.models.LSTMSeq2Seq(VOCAB_SIZE, **size)
    model = zoo.Seq2SeqLM(backbone, tokenizer())
    return with_varied_targets(model, seed=2, scale=0.8, weight_of_end=3.0)


def with_varied_targets(model, seed, scale, weight_of_end):
    """Weights by which some targets end early, and all consist of letters that can be compared."""
    chance = np.random.default_rng(seed)
    for weight in sorted(model.weights, key=lambda w: w.path):
        centre = 1.0 if weight.path.endswith("gamma") else 0.0
        weight.assign(centre + scale * chance.normal(size=weight.shape))
    embeddings = model.backbone.token_embedding.embeddings
    table = keras.ops.convert_to_numpy(embeddings).copy()
    spellings = [tokenizer().decode([i]) for i in range(VOCAB_SIZE)]
    table[[not (text.isascii() and text.isprintable()) for text in spellings]] = 0
    table[tokenizer().end_id] *= weight_of_end
    embeddings.assign(table)
    return model


def texts_of(sources):
    return {"text": as_bytes(sources)}


def translation(sources, width, length_penalty, max_new_tokens=LENGTH, truncate=False):
    numbers = {
        "max_new_tokens": ("int32", max_new_tokens),
        "beam_width": ("int32", width),
        "length_penalty": ("float32", length_penalty),
        "truncate": ("bool", truncate),
    }
    return "translate", texts_of(sources) | numbers


def generation(sources, temperature, top_p, seed, max_new_tokens=LENGTH, truncate=False):
    numbers = {
        "max_new_tokens": ("int32", max_new_tokens),
        "temperature": ("float32", temperature),
        "top_p": ("float32", top_p),
        "seed": ("int32", seed),
        "truncate": ("bool", truncate),
    }
    return "generate", texts_of(sources) | numbers


def logits(token_ids, padding_mask, decoder_token_ids):
    inputs = {
        "token_ids": ("int32", token_ids.tolist()),
        "padding_mask": ("bool", padding_mask.tolist()),
        "decoder_token_ids": ("int32", decoder_token_ids.tolist()),
    }
    return "serving_default", inputs


PAIR = {
    "token_ids": random_ids(3, 7),
    "padding_mask": np.arange(7) < np.array([[7], [4], [1]]),
    "decoder_token_ids": random_ids(3, 5, seed=1),
}
TOO_LONG = ["~" * 40, "The sea", "", "It was late, as " * 9]
LONG = np.zeros((1, CONTEXT + 1), "int32")
BAD_CALLS = [
    (translation(["~" * 32], 2, 0.6), "only its start be read; got a source of] [32]"),
    (translation(["x"], 2, 0.6, 0), "max_new_tokens must be at least 1; got] [0]"),
    (translation(["x"], 2, 0.6, 33), "max_new_tokens must fit into the context of 32 tokens; got"),
    (translation(["x"], 0, 0.6), "beam_width must be from 1 (greedy) to 300, the vocabulary"),
    (translation(["x"], 301, 0.6), "the vocabulary of the model; got] [301]"),
    (translation(["x"], 2, -1.0), "length_penalty must be at least 0; got] [-1]"),
    (generation(["x"], -1.0, 1.0, 0), "temperature must be at least 0 and finite (0 is greedy)"),
    (generation(["x"], float("inf"), 1.0, 0), "temperature must be at least 0 and finite"),
    (generation(["x"], 1.0, 1.5, 0), "top_p must be above 0 and at most 1; got] [1.5]"),
    (logits(LONG, LONG == 0, LONG[:, :1]), "must fit into the context of 32 tokens; got] [33]"),
    (logits(LONG[:, :1], LONG[:, :1] == 0, LONG), "must fit into the context of 32 tokens; got"),
    (logits(LONG[:, :1], LONG[:, :1] == 0, LONG[:, :1] - 1), "Token ids must be from 0 to 299"),
]
CALLS = {
    "beams": [translation(SOURCES, *beam) for beam in BEAMS],
    "greedy": [generation(SOURCES, 0.0, 1.0, 0), translation(SOURCES, 1, 0.6)],
    "drawn": [generation(SOURCES, *DRAWN)],
    "alone": [translation([source], *BEAMS[-1]) for source in SOURCES],
    "empty": [translation([*SOURCES, ""], 4, 0.6), generation([*SOURCES, ""], 0.0, 1.0, 0)],
    "none": [translation([], *BEAMS[0]), generation([], *DRAWN)],
    "not utf-8": [
        ("translate", translation([], *BEAMS[0])[1] | {"text": ("string", ["\xff"])}),
        translation(["\ufffd"], *BEAMS[0]),
    ],
    "long": [translation(["~" * size], *BEAMS[0]) for size in SIZES],
    "cut": [
        translation(TOO_LONG, *BEAMS[0], truncate=True),
        generation(TOO_LONG, *DRAWN, truncate=True),
    ],
    "logits": [logits(**PAIR)],
    "tokenize": [("tokenize", texts_of(SOURCES))],
    "bad": [call for call, _ in BAD_CALLS],
}


@pytest.fixture(scope="module")
def models():
    # Under other backends each export takes a process; the graphs are TensorFlow's on all.
    return {"transformer": transformer()} | ({"lstm": lstm()} if IS_TENSORFLOW else {})


@pytest.fixture(scope="module")
def served(models, tmp_path_factory):
    """`{family: {call: [answer, ...]}}` of a process that has TensorFlow and nothing of ours."""
    folder = tmp_path_factory.mktemp("served")
    for name, model in models.items():
        zoo.export(model, folder / name)
    calls = [call for part in CALLS.values() for call in part]
    (folder / "in.json").write_text(json.dumps({str(folder / name): calls for name in models}))
    command = [sys.executable, "-c", CONSUMER, folder / "in.json", folder / "out.json"]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    results = json.loads((folder / "out.json").read_text())
    return {name: by_call(*results[str(folder / name)]) for name in models}


def by_call(signatures, *answers):
    assert signatures == ["generate", "sample", "serving_default", "tokenize", "translate"]
    answers = iter(answers)
    return {name: [next(answers) for _ in part] for name, part in CALLS.items()}


@pytest.fixture(params=["transformer", "lstm"])
def family(request, models):
    if request.param not in models:
        pytest.skip("Exported under TensorFlow only: the graphs are the same.")
    return request.param


@pytest.fixture
def model(family, models):
    return models[family]


@pytest.fixture
def answers(family, served):
    return served[family]


def test_greedy_targets_are_the_tasks(answers, model):
    expected = model.generate(SOURCES, LENGTH, sampler="greedy")
    assert len(set(expected)) > 2
    assert [answer["text"] for answer in answers["greedy"]] == [expected] * 2


def test_the_targets_of_beams_are_the_tasks(answers, model):
    several = [answer["text"] for answer in answers["beams"]]
    for (width, length_penalty), texts in zip(BEAMS, several, strict=True):
        assert texts == model.generate(SOURCES, LENGTH, sampler=Beam(width, length_penalty))
    assert several[0] != several[1]  # the penalty matters
    assert answers["greedy"][0]["text"] not in several  # and so does the width
    # Some end at once, and some hardly.
    lengths = [len(ids) for texts in several for ids in tokenizer().encode(texts)]
    assert min(lengths) == 0
    assert max(lengths) > LENGTH / 2


def test_drawn_targets_are_the_tasks(answers, model):
    temperature, top_p, seed = DRAWN
    expected = model.generate(SOURCES, LENGTH, Sampler(temperature, top_p=top_p), seed=seed)
    assert answers["drawn"][0]["text"] == expected


def test_a_batch_gives_what_its_texts_give_one_by_one(answers):
    alone = [text for answer in answers["alone"] for text in answer["text"]]
    assert alone == answers["beams"][-1]["text"]


def test_an_empty_batch_gives_an_empty_batch(answers):
    assert answers["none"] == [{"text": []}] * 2


def test_the_target_of_an_empty_source_is_empty(answers):
    for answer in answers["empty"]:
        assert any(answer["text"])
        assert answer["text"][-1] == ""


def test_text_that_is_not_utf8_reads_as_replacement_characters(answers):
    broken, replaced = answers["not utf-8"]
    assert len(broken["text"]) == 1
    assert broken == replaced


def test_logits_are_the_models(answers, model):
    expected = keras.ops.convert_to_numpy(model(PAIR, training=False))
    np.testing.assert_allclose(answers["logits"][0]["logits"], expected, rtol=1e-4, atol=1e-3)


def test_sources_are_the_tasks(answers, model):
    (seen,) = answers["tokenize"]
    rows = [model.pair_format.source_row(ids) for ids in tokenizer().encode(SOURCES)]
    longest = max(map(len, rows))
    assert seen["token_ids"] == [[*row, *[0] * (longest - len(row))] for row in rows]
    assert [sum(mask) for mask in seen["padding_mask"]] == [len(row) for row in rows]


def test_a_source_fits_with_what_is_put_around_it(answers, model):
    most = CONTEXT - len(model.pair_format.source_row([1])) + 1
    assert [size <= most for size in SIZES] == ["text" in answer for answer in answers["long"]]


def test_of_a_source_that_is_too_long_the_start_is_read_as_in_the_task(answers, model):
    (temperature, top_p, seed), cut = DRAWN, {"truncate": True}
    with pytest.raises(ValueError, match="must fit into the context"):
        model.generate(TOO_LONG, LENGTH)
    drawn = model.generate(TOO_LONG, LENGTH, Sampler(temperature, top_p=top_p), seed, **cut)
    expected = [model.generate(TOO_LONG, LENGTH, Beam(*BEAMS[0]), **cut), drawn]
    assert [answer["text"] for answer in answers["cut"]] == expected


@pytest.mark.parametrize("case", range(len(BAD_CALLS)))
def test_bad_input_is_a_clear_error(answers, case):
    assert BAD_CALLS[case][1] in answers["bad"][case]["error"]


@pytest.mark.skipif(not IS_TENSORFLOW, reason="the graphs are TensorFlow's on all backends")
def test_without_tokenizer_there_are_logits_alone():
    from zoo.exporting.saved_model import make_signatures

    assert list(make_signatures(tiny_transformer(with_tokenizer=False))) == ["serving_default"]


@pytest.mark.backend_free
def test_word_pieces_are_refused(tmp_path):
    size = {"vocab_size": word_pieces().vocab_size, "num_layers": 1, "num_heads": 2}
    backbone = zoo.models.Transformer(**size, hidden_dim=16, max_length=CONTEXT)
    model = zoo.Seq2SeqLM(backbone, word_pieces())
    with pytest.raises(ValueError, match=r"Only a byte-level BPE .*: its model is WordPiece\. "):
        zoo.export(model, tmp_path / "served")
    assert list(tmp_path.iterdir()) == []
