"""Text in any container is the same text: the same loss for every task."""

import pathlib

import keras
import numpy as np
import pytest

import zoo
from tests.models import TEXTS, tiny_backbone, tiny_gpt, tiny_transformer, with_weights, word_pieces

SHORT = ["the sea was calm", "late", "the sky was grey and calm", "nobody spoke", "a while"]
NAMES = ["neg", "pos", "pos", "neg", "pos"]
PARTNERS = ["calm sea", "it was late", "grey sky", "spoke", "long while"]
WORDS = [text.split() for text in SHORT]
TAGS = [["O" if len(word) < 4 else "B-X" for word in words] for words in WORDS]


def classifier(**arguments):
    return zoo.TextClassifier(tiny_backbone(), word_pieces(), labels=["neg", "pos"], **arguments)


def tagger():
    return zoo.TokenClassifier(tiny_backbone(), word_pieces(), labels=["O", "B-X"])


TASKS = {  # a model, its examples, and their labels or None
    "classifier": (classifier, SHORT, NAMES),
    "pairs": (classifier, list(zip(SHORT, PARTNERS, strict=True)), NAMES),
    "embedder": (
        lambda: zoo.TextEmbedder(tiny_backbone(), word_pieces()),
        list(zip(SHORT, PARTNERS, strict=True)),
        [0.0, 1.0, 0.5, 0.2, 0.9],
    ),
    "tagger": (tagger, WORDS, TAGS),
    "causal_lm": (lambda: tiny_gpt(max_length=16), list(TEXTS), None),
    "seq2seq": (lambda: tiny_transformer(max_length=32), SHORT, PARTNERS),
}


class Sequence(keras.utils.PyDataset):
    """Batches of two examples."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return -(-len(self.x) // 2)

    def __getitem__(self, index):
        return batch_of(self.x, self.y, slice(2 * index, 2 * index + 2))


class Items:
    """A dataset with places, as PyTorch's and others are."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index] if self.y is None else (self.x[index], self.y[index])


def batch_of(x, y, part):
    return (x[part],) if y is None else (x[part], y[part])


def batches(x, y):
    return (batch_of(x, y, slice(i, i + 2)) for i in range(0, len(x), 2))


def singles(x, y):
    return (x[i] if y is None else (x[i], y[i]) for i in range(len(x)))


def with_labels(x, y):
    return (x,) if y is None else (x, y)


def as_array(x):
    ragged = isinstance(x[0], list)
    array = np.empty(len(x), object) if ragged else np.array(x)
    if ragged:
        array[:] = x
    return array


def torch_items(x, y):
    torch = pytest.importorskip("torch")

    class Dataset(Items, torch.utils.data.Dataset):
        pass

    return Dataset(x, y)


def torch_loader(x, y):
    from torch.utils.data import DataLoader

    ragged = isinstance(x[0], list)
    collate = (lambda rows: tuple(map(list, zip(*rows, strict=True)))) if ragged else None
    return DataLoader(torch_items(x, y), batch_size=2, collate_fn=collate)


def tensors(x, y):
    tf = pytest.importorskip("tensorflow")
    if isinstance(x[0], list):
        pytest.skip("tf.data holds no lists of different lengths")
    x = tuple(map(list, zip(*x, strict=True))) if isinstance(x[0], tuple) else x
    return tf.data.Dataset.from_tensor_slices(x if y is None else (x, y)).batch(2)


def columns(x, y):
    parts = list(zip(*x, strict=True)) if isinstance(x[0], tuple) else [x]
    table = {f"text_{i}": list(part) for i, part in enumerate(parts)}
    return table if y is None else {**table, "label": y}


def shuffled_series(x, y):
    pandas = pytest.importorskip("pandas")
    index = [7, 3, 9, 1, 5][: len(x)]
    parts = [pandas.Series(list(part), index=index) for part in with_labels(x, y)]
    return tuple(parts)


def frame(x, y):
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame(columns(x, y), index=[4, 2, 8, 6, 0][: len(x)])


def hub_dataset(x, y):
    datasets = pytest.importorskip("datasets")
    table = datasets.table.InMemoryTable.from_pydict(columns(x, y))
    return datasets.Dataset(table, fingerprint="given")  # its own takes pickles of everything


CONTAINERS = {  # how examples and labels are passed; True where both are in the first argument
    "tuples": lambda x, y: with_labels(tuple(x), y),
    "arrays": lambda x, y: with_labels(as_array(x), None if y is None else as_array(y)),
    "series": shuffled_series,
    "frame": lambda x, y: (frame(x, y),),
    "table": lambda x, y: (columns(x, y),),
    "hub dataset": lambda x, y: (hub_dataset(x, y),),
    "hub stream": lambda x, y: (hub_dataset(x, y).to_iterable_dataset(),),
    "sequence": lambda x, y: (Sequence(x, y),),
    "generator of batches": lambda x, y: (batches(x, y),),
    "generator": lambda x, y: (singles(x, y),),
    "torch dataset": lambda x, y: (torch_items(x, y),),
    "torch loader": lambda x, y: (torch_loader(x, y),),
    "tf.data": lambda x, y: (tensors(x, y),),
}


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    make, x, y = TASKS[request.param]
    model = with_weights(make(), scale=0.2)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    return request.param, model, x, y


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_loss_of_a_list(task, container):
    name, model, x, y = task
    if name == "seq2seq" and container in ("table", "frame", "hub dataset", "hub stream"):
        x, y = list(zip(x, y, strict=True)), None  # a column for each language
    given = CONTAINERS[container](x, y)
    expected = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    seen = model.evaluate(*given, batch_size=2, verbose=0, return_dict=True)
    assert seen["loss"] == pytest.approx(expected["loss"], rel=1e-4)


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("container", CONTAINERS)
def test_fit_reads_every_container_and_so_does_validation(task, container):
    _, model, x, y = task
    if model.name.startswith("seq2seq") and container in ("table", "frame", "hub dataset"):
        x, y = list(zip(x, y, strict=True)), None
    data, held_out = (CONTAINERS[container](x, y) for _ in range(2))
    validation = held_out if len(held_out) > 1 else held_out[0]
    logs = model.fit(*data, batch_size=2, validation_data=validation, verbose=0).history
    expected = model.evaluate(x, y, batch_size=2, verbose=0, return_dict=True)
    assert logs["val_loss"][0] == pytest.approx(expected["loss"], rel=1e-4)
    assert np.isfinite(logs["loss"][0])


@pytest.mark.slow_to_compile
def test_masked_tasks_read_streams():
    documents = ["The sea was calm. The sky was grey.", "It was late! Was it? It was."] * 3
    for make in (zoo.MaskedLM, zoo.BertPretrainer):
        model = with_weights(make(tiny_backbone(), word_pieces()), scale=0.2)
        expected = model.evaluate(documents, verbose=0, return_dict=True)["loss"]
        stream = (text for text in documents)
        assert model.evaluate(stream, verbose=0, return_dict=True)["loss"] == pytest.approx(
            expected, rel=0.2
        )
        assert np.isfinite(model.fit(iter(documents), verbose=0).history["loss"][0])


def test_predict_reads_streams_and_columns():
    model = with_weights(classifier(), scale=0.2)
    expected = model.predict(SHORT, verbose=0)
    for data in (as_array(SHORT), (text for text in SHORT), Sequence(SHORT, None)):
        np.testing.assert_allclose(model.predict(data, verbose=0), expected, atol=1e-5)


def test_files_are_read_by_their_paths_alone(tmp_path):
    model = tiny_gpt(max_length=16)
    paths = []
    for number, text in enumerate(TEXTS):
        paths.append(pathlib.Path(tmp_path / f"{number}.txt"))
        paths[-1].write_text(text, encoding="utf-8")
    expected = model.evaluate(list(TEXTS), verbose=0)
    assert model.evaluate(paths, verbose=0) == pytest.approx(expected)
    for wrong in (str(paths[0]), [str(path) for path in paths]):
        with pytest.raises(ValueError, match=r"is the name of a file, .* pass pathlib\.Path"):
            model.fit(wrong)
    with pytest.raises(ValueError, match="is a folder"):
        model.fit(tmp_path)


def test_missing_and_empty_texts_are_read_and_not_learnt_from():
    model = with_weights(classifier(), scale=0.2)
    texts = ["the sea", None, float("nan"), "", "  "]
    rows = model.predict(texts, verbose=0)
    for row in rows[2:]:
        np.testing.assert_allclose(row, rows[1], atol=1e-5)
    with pytest.warns(UserWarning, match="4 of 5 texts have no text and were left out"):
        model.fit(texts, NAMES, verbose=0)
    with pytest.warns(UserWarning, match="1 of 2 pairs have no text"):
        tiny_transformer(max_length=32).fit([("a", "b"), ("a", None)], verbose=0)


def test_a_generator_is_read_once():
    model = with_weights(classifier(), scale=0.2)
    with pytest.raises(ValueError, match="read only once, so 3 epochs need steps_per_epoch"):
        model.fit(batches(SHORT, NAMES), epochs=3)

    def endless():
        while True:
            yield from batches(SHORT, NAMES)

    logs = model.fit(endless(), epochs=3, steps_per_epoch=2, verbose=0).history
    assert len(logs["loss"]) == 3


def test_token_ids_by_the_names_of_transformers():
    model = with_weights(classifier(), scale=0.2)
    rows = word_pieces().encode(SHORT)
    longest = max(map(len, rows))
    ids = np.array([row + [0] * (longest - len(row)) for row in rows])
    mask = ids > 0
    ours, theirs = (
        dict(zip(names, (ids, mask, np.zeros_like(ids)), strict=True))
        for names in (
            ("token_ids", "padding_mask", "segment_ids"),
            ("input_ids", "attention_mask", "token_type_ids"),
        )
    )
    expected = model.evaluate(ours, NAMES, verbose=0)
    assert model.evaluate(theirs, NAMES, verbose=0) == pytest.approx(expected)
    np.testing.assert_allclose(
        model.predict(theirs, verbose=0), model.predict(ours, verbose=0), atol=1e-6
    )


@pytest.mark.parametrize("seed", [0, 3])
def test_a_resumed_run_reads_what_an_unbroken_one_does(seed):
    def seen(**arguments):
        model = tiny_gpt(with_tokenizer=False)
        model.compile(optimizer=keras.optimizers.SGD(0.0))
        rows = zoo.data.PackedRows(np.arange(200) % 300, 8, 4, seed=seed)
        first = []
        make = rows.make
        rows.make = lambda planned: first.append(planned[0]) or make(planned)
        model.fit(rows, verbose=0, **arguments)
        return first[-len(rows) :] if "steps_per_epoch" not in arguments else first[-2:]

    assert seen(epochs=3) == seen(epochs=3, initial_epoch=2)
    counted = {"steps_per_epoch": 2, "epochs": 6}
    assert seen(**counted) == seen(**counted, initial_epoch=5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.evaluate(SHORT), "label for each text; got none"),
        (lambda m: m.evaluate(np.ones((2, 3), "int32")), "pass y; got none"),
        (lambda m: m.fit(SHORT, NAMES, sample_weight=[1, np.nan, 1, 1, 1]), "finite .* got nan"),
        (lambda m: m.fit(SHORT, NAMES, sample_weight=[1, -1, 1, 1, 1]), r"got -1\.0"),
        (lambda m: m.fit(SHORT, NAMES, sample_weight=[1.0]), "for each of the 5 texts; got shape"),
        (lambda m: m.fit(SHORT, NAMES, class_weight={"pos": -2}), "class_weight must be finite"),
        (lambda m: m.fit(SHORT, NAMES, class_weight="even"), "'balanced'; got 'even'"),
        (lambda m: m.fit(SHORT, NAMES, batch_size=0), "batch_size must be a whole number"),
        (lambda m: m.fit([("a", "b"), "c"], NAMES[:2]), "all be pairs of texts, or none"),
        (lambda m: m.fit(batches(SHORT, NAMES), validation_split=0.5), "holds out rows of text"),
        (lambda m: m.fit(batches(SHORT, NAMES), NAMES), "y goes with data in memory"),
        (lambda m: m.fit(batches(SHORT, NAMES), class_weight="balanced"), "needs them all in"),
        (lambda m: m.fit(object()), "takes text, token ids, or datasets of either; got obj"),
        (lambda m: m("a text"), "takes token ids; got 'a text'. Use predict"),
        (lambda m: m.fit(iter([])), "that is empty"),
    ],
)
def test_what_has_no_meaning_is_one_sentence(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(classifier())


def test_unknown_arguments_are_type_errors():
    for verb in ("fit", "evaluate", "predict"):
        with pytest.raises(TypeError, match="no_such"):
            getattr(classifier(), verb)(SHORT, no_such=1)


@pytest.mark.parametrize("task", [lambda: tiny_gpt(), lambda: with_weights(classifier(), 0.2)])
def test_steps_on_one_batch_of_text(task):
    model = task()
    data = (SHORT, NAMES) if model.labels else (list(TEXTS),)
    expected = model.evaluate(*data, verbose=0, return_dict=True)["loss"]
    model.reset_metrics()
    assert model.test_on_batch(*data, return_dict=True)["loss"] == pytest.approx(expected, rel=1e-4)
    model.reset_metrics()
    assert np.isfinite(model.train_on_batch(*data, return_dict=True)["loss"])
    assert len(model.predict_on_batch(SHORT[:2])) == 2


def test_class_weights_by_name_number_and_balance():
    def loss(model, x, y, class_weight):
        model.compile(optimizer=keras.optimizers.SGD(0.0))
        return model.fit(x, y, class_weight=class_weight, verbose=0).history["loss"][0]

    model = with_weights(classifier(head_dropout=0.0), scale=0.2)
    named = loss(model, SHORT, NAMES, {"pos": 3.0, "neg": 0.5})
    assert named == pytest.approx(loss(model, SHORT, NAMES, {1: 3.0, 0: 0.5}), rel=1e-5)
    assert named == pytest.approx(
        loss(model, Sequence(SHORT, NAMES), None, {"pos": 3.0, "neg": 0.5}), rel=0.3
    )
    balanced = loss(model, SHORT, NAMES, {"pos": 5 / 6, "neg": 5 / 4})
    assert balanced == pytest.approx(loss(model, SHORT, NAMES, "balanced"), rel=1e-5)
    assert named != pytest.approx(balanced, rel=1e-3)
    tags = with_weights(tagger(), scale=0.2)
    tags.compile(optimizer=keras.optimizers.SGD(0.0))
    assert tags.fit(WORDS, TAGS, class_weight={"O": 0.0, "B-X": 0.0}, verbose=0).history[
        "loss"
    ] == [0]


def test_labels_may_be_numbers_and_booleans():
    for labels, given in (([1, 3], [3, 1]), (np.array([False, True]), [True, False])):
        model = zoo.TextClassifier(tiny_backbone(), word_pieces(), labels=labels)
        assert model.labels == tuple(map(str, labels))
        assert model.examples(["a", "b"], given).labels.tolist() == [1, 0]
    assert classifier().examples(["a", "b"], [True, 0.0]).labels.tolist() == [1, 0]


@pytest.mark.slow_to_compile
def test_scores_and_triplets_teach_an_embedder():
    pair, other = ("the sea was calm", "it was late"), "the sky was grey"
    for data, scores in (([pair] * 2, [0.0, 0.0]), ([(*pair, other)], None)):
        model = with_weights(zoo.TextEmbedder(tiny_backbone(), word_pieces()), scale=0.2)
        model.compile(optimizer=keras.optimizers.Adam(1e-3))
        before, distractor = model.similarity(pair[0], [pair[1], other])[0]
        model.fit(data, scores, epochs=20, verbose=0)
        after, farther = model.similarity(pair[0], [pair[1], other])[0]
        assert abs(after) < abs(before) if scores else after - farther > before - distractor
    with pytest.raises(ValueError, match=r"scores from -1 to 1.* got 5"):
        model.fit([pair], [5.0])
    with pytest.raises(ValueError, match="leave y out"):
        model.fit([(*pair, "a")], [1.0])
