"""What new users pass in the first hour: empty batches, unknown languages, odd parts."""

import keras
import numpy as np
import pytest

import zoo
from tests.models import tiny_backbone, tiny_gpt, tiny_transformer, with_weights, word_pieces
from zoo.data import encoding
from zoo.data.texts import NothingToLearn

TEXTS, LABELS = ["the sea was calm", "it was late"], ["neg", "pos"]
EMPTY = ["", None]


def classifier():
    model = zoo.TextClassifier(tiny_backbone(), word_pieces(), LABELS, head_dropout=0.0)
    return with_weights(model, 0.2)


class Sequence(keras.utils.PyDataset):
    def __init__(self, *batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


# A task and its parts


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: zoo.CausalLM(None), TypeError, "A CausalLM is made of a backbone .* got None"),
        (lambda: zoo.MaskedLM(tiny_gpt().backbone), ValueError, "needs a backbone for masked_lm"),
        (lambda: zoo.CausalLM(tiny_backbone()), ValueError, "needs a backbone for causal_lm"),
        (lambda: zoo.Seq2SeqLM(tiny_gpt().backbone), ValueError, "a GPT is one for causal_lm"),
        (lambda: zoo.CausalLM(tiny_gpt().backbone, "gpt2"), TypeError, "tokenizer must be a zoo"),
        (
            lambda: zoo.MaskedLM(tiny_backbone(), special_tokens={"bos": 1}),
            ValueError,
            "special_tokens has no 'bos'; the roles are start, stop",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_backbone_of_ones_own_says_nothing_of_tasks():
    class Mine(zoo.models.BERT):
        tasks = ()

    backbone = tiny_backbone(Mine)
    assert zoo.MaskedLM(backbone, word_pieces()).backbone is backbone


# Nothing to learn from


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.slow_to_compile
def test_a_batch_without_text_is_passed_over_in_a_stream(place):
    batches = [(TEXTS, LABELS), (TEXTS, LABELS)]
    expected = classifier().fit(iter(batches[:1]), verbose=0).history["loss"]
    batches[place] = EMPTY, LABELS
    seen = classifier().fit(iter(batches), verbose=0).history["loss"]
    assert seen == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("place", [0, 1])
def test_and_moves_no_weight_where_batches_have_places(place):
    model, batches = classifier(), [(TEXTS, LABELS), (TEXTS, LABELS)]
    model.compile(keras.optimizers.SGD(0.1))
    batches[place] = EMPTY, LABELS
    before = model.get_weights()
    found = model.feed(Sequence(*batches), training=True)["reading"].batches
    (batch,) = (one for one in (found[0], found[1]) if len(one) == 3)
    assert not batch[2].any()
    model.train_on_batch(*batch)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (classifier, lambda: iter([(EMPTY, LABELS)])),
        (lambda: zoo.MaskedLM(tiny_backbone(), word_pieces()), lambda: iter(EMPTY)),
        (tiny_gpt, lambda: iter(EMPTY)),
        (tiny_transformer, lambda: iter([[("", "a"), ("b", None)]])),
    ],
)
def test_a_stream_of_nothing_is_an_error(make, data):
    with pytest.raises(Exception, match="There is nothing to learn from"):  # TensorFlow wraps it
        make().fit(data(), verbose=0)
    assert issubclass(NothingToLearn, ValueError)


# Unknown languages


@pytest.mark.parametrize("verb", ["predict_labels", "fit", "encode"])
def test_a_language_that_is_not_known_is_warned_of_at_the_users_line(verb):
    tokenizer = zoo.tokenizers.WordPieceTokenizer.from_json(word_pieces().to_json())
    model = zoo.TextClassifier(tiny_backbone(), tokenizer, LABELS)
    texts = ["тихое море", "мы опоздали на поезд"]
    with pytest.warns(UserWarning, match="100% of the tokens of these texts are unk") as seen:
        getattr(model, verb)(texts, *([LABELS] if verb == "fit" else []))
    assert [w.filename for w in seen if w.category is UserWarning] == [__file__]
    model.predict_labels(texts)  # once: a second warning would be an error


def test_long_lists_are_encoded_in_parts(monkeypatch):
    texts = ["the sea", None, "it was late"] * 5
    whole = word_pieces().encode([text or "" for text in texts])
    monkeypatch.setattr(encoding, "PART_CHARACTERS", 10)
    assert encoding.encoded(word_pieces(), texts) == whole
    with pytest.raises(TypeError, match="got int '5' at position 15"):
        encoding.encoded(word_pieces(), [*texts, 5])


# Data that says what it is


def test_errors_of_validation_data_say_so():
    with pytest.raises(ValueError, match="validation_data: There must be a label for each text"):
        classifier().fit(TEXTS, LABELS, validation_data=TEXTS)


def test_prompts_in_what_holds_text_or_ids():
    model = tiny_gpt()
    alone = model.generate("the sea", max_new_tokens=3)
    assert model.generate(np.array(["the sea"]), max_new_tokens=3) == [alone]
    pandas = pytest.importorskip("pandas")
    column = pandas.Series(["the sea", None], index=[7, 3])
    assert model.generate(column, max_new_tokens=3)[0] == alone
    short, long = model.tokenizer.encode(["the", "the sea"])
    padded = {
        "input_ids": np.array([short + [0] * (len(long) - len(short)), long]),
        "attention_mask": np.arange(len(long)) < np.array([[len(short)], [len(long)]]),
    }
    expected = [model.generate(ids, max_new_tokens=3) for ids in (short, long)]
    assert model.generate(padded, max_new_tokens=3) == expected


@pytest.mark.parametrize("library", ["grain", "pyarrow"])
def test_grain_and_arrow_hold_the_same_texts(library):
    module = pytest.importorskip(library)
    model = classifier()
    expected = model.evaluate(TEXTS, LABELS, verbose=0)
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    given = {
        "grain": lambda: [
            (module.MapDataset.source(rows),),
            (module.MapDataset.source(rows).to_iter_dataset().batch(2),),
        ],
        "pyarrow": lambda: [
            (module.table({"text": TEXTS, "label": LABELS}),),
            (module.array(TEXTS), module.chunked_array([LABELS])),
        ],
    }
    for data in given[library]():
        assert model.evaluate(*data, verbose=0) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("what", ["frame", "array", "series"])
def test_labels_in_one_column_are_labels(what):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"label": LABELS}, index=[5, 2])
    column = {"frame": frame, "array": np.array([["neg"], ["pos"]]), "series": frame["label"]}
    model = classifier()
    assert model.evaluate(TEXTS, column[what], verbose=0) == model.evaluate(
        TEXTS, LABELS, verbose=0
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: zoo.TextClassifier(tiny_backbone(), labels={0: "a", 1: "b"}), "names in a list"),
        (lambda: classifier().fit(TEXTS, {"a": LABELS, "b": LABELS}), "one column each; got a tab"),
        (
            lambda: classifier().fit(TEXTS, LABELS, validation_data=(TEXTS, LABELS, [1], [1])),
            r"x, \(x, y\) or \(x, y, sample_weight\); got a tuple of 4",
        ),
    ],
)
def test_what_is_plainly_something_else_is_said(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# What takes long shows how far it is


@pytest.mark.parametrize("format", ["zoo", "transformers"])
def test_loading_shows_how_far_it_is(format, tmp_path, monkeypatch, capsys):
    zoo.save(tiny_gpt(), tmp_path / "saved", format=format)
    zoo.load(tmp_path / "saved")
    assert capsys.readouterr().out == ""
    monkeypatch.setattr("zoo.progress.QUIET_SECONDS", -1)
    zoo.load(tmp_path / "saved")
    assert "tensor" in capsys.readouterr().out
