"""What is trainable, adapted or quantised is so again after saving, copying and pickling."""

import copy
import pickle  # noqa: TID251  models of our own making
import warnings

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import (
    random_ids,
    tiny_backbone,
    tiny_gpt,
    tiny_lstm,
    tiny_transformer,
    with_weights,
    word_pieces,
)

TEXTS, LABELS = ["The sea was calm.", "It was late!"], ["a", "b"]


def saved(model, path):
    model.save(path / "model.keras")
    return keras.models.load_model(path / "model.keras")


WAYS = {
    ".keras": saved,
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
}


@pytest.fixture
def kept(request, tmp_path):
    """A function from a model to what is made of it; Keras has one body for all `WAYS`."""
    way = WAYS[getattr(request, "param", ".keras")]
    return lambda model: way(model, tmp_path)


def classifier(**overrides):
    backbone = tiny_backbone(num_layers=2, **overrides)
    model = zoo.TextClassifier(backbone, word_pieces(), ["a", "b"], head_dropout=0.0)
    return with_weights(model, 0.1)


def values(variables):
    return [ops.convert_to_numpy(variable) for variable in variables]


def assert_equal(variables, others):
    for variable, other in zip(values(variables), values(others), strict=True):
        np.testing.assert_array_equal(variable, other)


@pytest.mark.parametrize("kept", WAYS, indirect=True)
@pytest.mark.parametrize(("freeze", "is_trained"), [("backbone", False), (1, True)])
@pytest.mark.slow_to_compile
def test_what_is_frozen_stays_frozen_and_the_optimizer_goes_on(kept, freeze, is_trained):
    model = classifier()
    model.freeze(freeze)
    if is_trained:
        model.fit(TEXTS, LABELS, verbose=0)
    again = kept(model)
    assert again.get_config()["frozen"] == model.get_config()["frozen"] != []
    assert [w.path for w in again.trainable_weights] == [w.path for w in model.trainable_weights]
    assert again.optimizer.built == model.optimizer.built == is_trained
    if is_trained:
        assert_equal(again.optimizer.variables, model.optimizer.variables)
        assert int(again.optimizer.iterations) == 1
    before = values(again.non_trainable_weights)
    again.fit(TEXTS, LABELS, verbose=0)
    assert_equal(again.non_trainable_weights, before)


def test_training_goes_on_from_a_file_as_if_it_had_not_been_left(kept):
    model = classifier()
    model.compile(keras.optimizers.Adam(1e-2, epsilon=1e-4))
    model.fit(TEXTS, LABELS, epochs=2, shuffle=False, verbose=0)
    again = kept(model)
    for one in (model, again):
        keras.utils.set_random_seed(0)
        one.fit(TEXTS, LABELS, epochs=2, shuffle=False, verbose=0)
    for weight, other in zip(values(model.weights), values(again.weights), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-5, atol=1e-6)


@pytest.mark.slow_to_compile
def test_what_is_thawed_after_training_is_trained(kept):
    model = classifier()
    model.freeze("backbone")
    model.fit(TEXTS, LABELS, verbose=0)
    model.freeze(None)
    again = kept(model)
    for one in (model, again):
        before = values(one.trainable_weights)
        assert len(before) == len(one.weights)
        one.fit(TEXTS, LABELS, verbose=0)
        moved = [(a != b).any() for a, b in zip(before, values(one.weights), strict=True)]
        assert sum(moved) > len(moved) // 2


@pytest.mark.slow_to_compile
def test_no_weight_decay_pulls_at_biases_and_norms(kept):
    for model in (classifier(), tiny_gpt(), zoo.BertPretrainer(tiny_backbone(), word_pieces())):
        model.optimizer.learning_rate = 0.1
        again = kept(model)
        for one in (model, again):
            one.optimizer.build(one.trainable_variables)
            before = {
                w.path: value for w, value in zip(one.weights, values(one.weights), strict=True)
            }
            one.optimizer.apply([ops.zeros(w.shape, w.dtype) for w in one.trainable_variables])
            for weight in one.weights:
                is_same = (before[weight.path] == ops.convert_to_numpy(weight)).all()
                is_kept = weight.name in ("bias", "beta", "gamma", "scale")
                assert is_same == (is_kept or not before[weight.path].any()), weight.path


@pytest.mark.parametrize(
    "make", [tiny_gpt, tiny_lstm, tiny_transformer], ids=["gpt", "lstm", "transformer"]
)
def test_adapters_stay_adapters(kept, make):
    model = make()
    frozen_kernels = adapt(model)
    assert frozen_kernels
    fit_once(model)
    again = kept(model)
    assert [w.path for w in again.trainable_weights] == [w.path for w in model.trainable_weights]
    assert_equal(again.weights, model.weights)
    fit_once(again)
    by_path = {w.path: w for w in again.weights}
    assert_equal([by_path[w.path] for w in frozen_kernels], frozen_kernels)
    adapters = [w for w in model.weights if "lora" in w.name]
    changed = [
        (a != b).any()
        for a, b in zip(values(by_path[w.path] for w in adapters), values(adapters), strict=True)
    ]
    assert all(changed)


def adapt(model):
    """Adapters in all layers that take them; the weights that they adapt."""
    layers = [layer for layer in model.sublayers().values() if hasattr(layer, "enable_lora")]
    for layer in layers:
        layer.enable_lora(2)
    return [w for layer in layers for w in layer.non_trainable_weights]


def fit_once(model):
    ids = random_ids(4, 9)
    x = ids[:, :-1]
    if isinstance(model, zoo.Seq2SeqLM):
        x = {"token_ids": ids, "decoder_token_ids": x}
    model.fit(x, ids[:, 1:], verbose=0)


@pytest.mark.slow_to_compile
def test_an_int8_model_gives_the_same_again(kept):
    model = tiny_gpt(num_layers=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras names each layer that stays as it is
        model.quantize("int8")
    again = kept(model)
    ids = random_ids(2, 9)
    assert_equal([again(ids)], [model(ids)])
    assert again.generate("The sea", 8) == model.generate("The sea", 8)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.slow_to_compile
def test_a_mixed_model_is_mixed_again(kept, dtype, tmp_path):
    model = classifier(dtype=dtype)
    model.fit(TEXTS, LABELS, verbose=0)
    zoo.save(model, tmp_path / "preset")
    for again in (kept(model), zoo.load(tmp_path / "preset")):
        assert again.dtype_policy.name == again.backbone.dtype_policy.name == dtype
        assert_equal(again.weights, model.weights)
        again.fit(TEXTS, LABELS, verbose=0)
        assert hasattr(again.optimizer, "loss_scale_factor") == hasattr(
            model.optimizer, "loss_scale_factor"
        )


@pytest.mark.parametrize("make", [tiny_gpt, tiny_lstm, tiny_transformer, classifier])
def test_a_clone_is_a_task_of_the_same_kind(make):
    model = make()
    model.compile(keras.optimizers.SGD(0.125))
    clone = keras.models.clone_model(model)
    assert type(clone) is type(model)
    assert clone.get_config() == model.get_config()
    assert clone.optimizer.learning_rate == 0.125
    clone.set_weights(model.get_weights())
    assert_equal(clone.weights, model.weights)
    clone.set_weights([np.zeros(weight.shape) for weight in clone.weights])
    assert all(value.any() for value in values(model.weights))


def test_other_models_are_cloned_as_keras_does():
    inputs = keras.Input((3,))
    plain = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    assert type(keras.models.clone_model(plain)) is type(plain)

    def widen(layer):
        config = layer.get_config()
        is_dense = isinstance(layer, keras.layers.Dense)
        return type(layer).from_config({**config, "units": 5} if is_dense else config)

    wider = keras.models.clone_model(plain, clone_function=widen)
    assert wider.output.shape == (None, 5)


@pytest.mark.parametrize("kind", ["frozen", "lora", "dtype_policies"])
def test_a_config_with_a_layer_that_is_not_there_is_refused(kind):
    config = tiny_gpt().get_config()
    with pytest.raises(ValueError, match=r"got 'block_7'|it has no 'block_7'"):
        zoo.CausalLM.from_config({**config, kind: {"block_7": {}}})
