"""What holds of every family: see the table in `tests.families`.

KERAS_BACKEND=torch python -m tests.test_families     # writes the rows that are not there yet
"""

import json
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from keras import ops

import zoo
from tests.families import LENGTH, MASK, ROWS, config_of, inputs, is_causal, reads_pairs, tiny
from zoo import arguments
from zoo.models import FAMILIES
from zoo.sizes import check_memory, count_parameters
from zoo.tasks import TASKS

GOLDEN = Path(__file__).parent / "data" / "golden_families.json"
CAUSAL = [row for row in ROWS if is_causal(row)]


@pytest.fixture(scope="module", params=ROWS)
def row(request):
    return request.param


@pytest.fixture(scope="module")
def model(row):
    return tiny(row)


def hidden(model, batch):
    return ops.convert_to_numpy(ops.cast(model(batch), "float32"))


def changed(ids, places):
    """Token ids with others at some places."""
    return np.where(places, 299 - ids, ids).astype("int32")


# Declared beside the class


def test_every_family_has_a_row():
    assert {row.split(":")[0] for row in ROWS} == FAMILIES.keys()


@pytest.mark.backend_free
@pytest.mark.parametrize("cls", [*FAMILIES.values(), *TASKS.values()], ids=lambda x: x.__name__)
def test_every_argument_is_declared_and_its_default_fits(cls):
    for name, parameter in arguments.taken(cls).items():
        assert name in cls.arguments, f"{cls.__name__}.arguments must say what {name} may be"
        needed = arguments.is_needed(parameter, cls.arguments[name])
        assert needed == (parameter.default in (parameter.empty, ())), name


@pytest.mark.backend_free
@pytest.mark.parametrize("cls", FAMILIES.values(), ids=FAMILIES)
def test_tasks_are_known(cls):
    assert cls.tasks
    assert set(cls.tasks) <= TASKS.keys()


@pytest.mark.slow_to_compile
def test_heads_are_the_layers_that_a_task_adds(row):
    config = config_of(row)
    if config["family"] == "lstm" and not config["backbone"].get("bidirectional"):
        return  # a causal language model, whose head is its table
    for task in FAMILIES[config["family"]].tasks:
        if config["family"] == "lstm" and task == "causal_lm":
            continue
        labels = {"labels": ["a", "b"]} if "labels" in TASKS[task].arguments else {}
        model = TASKS[task](tiny(row), **labels)
        own = {v.path for v in model.weights} - {v.path for v in model.backbone.weights}
        assert {path.split("/")[0] for path in own} <= set(TASKS[task].heads)


def test_a_constructor_refuses_what_a_config_may_not_say(row):
    config = config_of(row)
    cls = FAMILIES[config["family"]]
    message = f"{cls.__name__}: num_layers must be an integer from 1 to 256; got "
    for value in (0, 10**6, 2.0, "2", True):
        with pytest.raises(ValueError, match=message):
            cls(**{**config["backbone"], "num_layers": value})
        with pytest.raises(ValueError, match=message):
            cls.from_config({**config["backbone"], "num_layers": value})


# Sizes


@pytest.mark.parametrize("num_layers", [1, 2, 5])
@pytest.mark.slow_to_compile
def test_the_count_is_that_of_the_model(row, num_layers):
    config = config_of(row, num_layers=num_layers)
    model = FAMILIES[config["family"]](**config["backbone"])
    assert count_parameters(config) == model.count_params()


def test_counting_takes_no_memory_and_no_random_number():
    config = config_of("gpt", hidden_dim=2**16, vocab_size=2**20, num_layers=200)
    state = random.getstate()
    tracemalloc.start()
    count = count_parameters(config)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count > 10**13
    assert peak < 50e6
    assert random.getstate() == state
    tiny("gpt")  # Keras does not make up now for what it has left out
    assert hidden(tiny("gpt"), inputs("gpt")).shape == (2, LENGTH, 16)


@pytest.mark.parametrize(
    ("sizes", "names"),
    [
        ({"vocab_size": 2**24, "hidden_dim": 2**16}, ["vocab_size", "hidden_dim"]),
        ({"max_length": 2**24, "hidden_dim": 2**16}, ["max_length", "hidden_dim"]),
        ({"num_layers": 200, "hidden_dim": 2**15}, ["num_layers", "hidden_dim"]),
    ],
)
def test_what_no_machine_holds_is_refused_by_name(sizes, names):
    with pytest.raises(ValueError, match=r"mine: .* must be smaller: .* take .* GB") as error:
        check_memory(config_of("gpt", **sizes), "mine")
    for name in ("vocab_size", "hidden_dim", "num_layers", "max_length"):
        assert (f"{name}, here {sizes.get(name)}," in str(error.value)) == (name in names)
    check_memory(config_of("gpt"), "mine")


# Behaviour


@pytest.mark.slow_to_compile
def test_padding_changes_nothing(row, model):
    batch = inputs(row)
    other = {**batch, "token_ids": changed(batch["token_ids"], ~MASK)}
    seen, expected = hidden(model, other), hidden(model, batch)
    shown = np.ones_like(MASK) if reads_pairs(row) else MASK
    np.testing.assert_allclose(seen[shown], expected[shown], atol=2e-5)
    short = {name: array[1:, :4] for name, array in batch.items() if array is not MASK}
    np.testing.assert_allclose(hidden(model, short)[0], expected[1, :4], atol=2e-5)


@pytest.mark.parametrize("row", CAUSAL)
@pytest.mark.slow_to_compile
def test_later_tokens_change_nothing(row):
    model, batch = tiny(row), inputs(row, padded=None)
    name = "decoder_token_ids" if reads_pairs(row) else "token_ids"
    before = hidden(model, batch)
    for place in range(LENGTH):
        here = np.arange(LENGTH) == place
        after = hidden(model, {**batch, name: changed(batch[name], here)})
        np.testing.assert_allclose(after[:, :place], before[:, :place], atol=2e-5)
        assert np.abs(after[:, place:] - before[:, place:]).max(axis=(0, 2)).min() > 1e-6


@pytest.mark.parametrize("row", CAUSAL)
def test_cached_is_uncached(row):
    model, batch = tiny(row), inputs(row, padded=None)
    ids = batch.get("decoder_token_ids", batch["token_ids"])
    start = {i: ops.full((2,), i, dtype="int32") for i in range(3, LENGTH)}
    if reads_pairs(row):
        context = model.project_context(model.encode(batch["token_ids"]))
        cache = model.make_cache(context, 8)

        def step(new, cache, start):
            return model.decode(new, cache, start, context)
    else:
        cache, step = model.make_cache(2, 8), model.call_with_cache
    piece, cache = step(ids[:, :3], cache, 0)
    pieces = [piece]
    for i in range(3, LENGTH):
        piece, cache = step(ids[:, i : i + 1], cache, start[i])
        pieces.append(piece)
    cached = ops.convert_to_numpy(ops.concatenate(pieces, axis=1))
    np.testing.assert_allclose(cached, hidden(model, batch), atol=2e-5)


def test_comes_back_from_its_config(row, model):
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(hidden(again, inputs(row)), hidden(model, inputs(row)))


def test_is_saved_and_loaded(row, model, tmp_path, monkeypatch):
    monkeypatch.setattr("zoo.folders.os.fsync", lambda handle: None)
    cls = TASKS[model.tasks[-1] if row == "lstm: bidirectional" else model.tasks[0]]
    labels = {"labels": ["a", "b"]} if "labels" in cls.arguments else {}
    task = cls(model, **labels)
    zoo.save(task, tmp_path / "mine")
    loaded = zoo.load(tmp_path / "mine")
    assert type(loaded) is cls
    assert type(loaded.backbone) is type(model)
    np.testing.assert_array_equal(hidden(loaded.backbone, inputs(row)), hidden(model, inputs(row)))


# Backends


def outputs(row):
    """A few numbers of a row's hidden states."""
    return hidden(tiny(row), inputs(row))[0, :, :4].tolist()


def test_the_backends_agree(row):
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    np.testing.assert_allclose(outputs(row), golden[row], rtol=1e-4, atol=2e-5)


if __name__ == "__main__":
    written = json.loads(GOLDEN.read_text(encoding="utf-8"))
    rows = {row: written[row] if row in written else outputs(row) for row in ROWS}
    lines = ",\n".join(f"{json.dumps(row)}: {json.dumps(numbers)}" for row, numbers in rows.items())
    GOLDEN.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
