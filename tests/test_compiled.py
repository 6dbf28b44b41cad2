"""Compiled functions: few and bounded, safe in threads, and no host waits for a GPU more often."""

import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import ops

from tests.models import TEXTS, tiny_gpt, tiny_transformer
from zoo.backends import backend, buckets
from zoo.backends.compiled import Compiled
from zoo.generation import Sampler

only_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="PyTorch only")


@pytest.mark.backend_free
def test_the_least_recently_used_is_let_go(monkeypatch):
    monkeypatch.setattr("zoo.backends.compiled.MOST_SHAPES", 2)
    made = []
    kept = Compiled(lambda value: made.append(value) or value)
    for key in (1, 2, 1, 3, 1, 2):
        assert kept.get(key, key) == key
        assert len(kept) <= 2
    assert made == [1, 2, 3, 2]


@pytest.mark.backend_free
def test_one_thread_makes_what_others_wait_for_and_nobody_waits_for_what_is_there():
    made, may_go_on = [], threading.Event()

    def make(key):
        made.append(key)
        if key != "there":
            assert may_go_on.wait(20)
        return key

    kept = Compiled(make)
    kept.get("there", "there")
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(kept.get, "new", "new") for _ in range(7)]
        assert pool.submit(kept.get, "there", "there").result(20) == "there"
        may_go_on.set()
        assert [one.result(20) for one in waiting] == ["new"] * 7
    assert made == ["there", "new"]


def test_a_function_follows_the_weights_and_its_static_arguments():
    model = tiny_gpt()
    table = model.backbone.token_embedding.embeddings
    compiled = backend.compile_function(model, lambda x, scale: ops.sum(table.value) * x * scale)
    x = ops.convert_to_tensor(np.float32(2))
    for _ in range(2):
        total = ops.convert_to_numpy(table).sum()
        assert float(compiled(x, scale=3)) == pytest.approx(6 * total, rel=1e-3)
        assert float(compiled(x, scale=1)) == pytest.approx(2 * total, rel=1e-3)
        table.assign(table * 2 + 1)


def test_a_loop_ends_after_its_steps_or_when_it_is_over():
    def body(state, most):
        count = state["count"] + 1
        return {"count": count, "over": count >= most}

    loop = backend.compile_loop(tiny_gpt(), body)()

    def count(num_steps, most):
        state = {"count": ops.zeros((), "int32"), "over": ops.zeros((), "bool")}
        return int(loop(state, num_steps, ops.convert_to_tensor(most, dtype="int32"))["count"])

    assert [count(5, 9), count(20, 9), count(0, 9)] == [5, 9, 0]


@only_torch
def test_a_gpu_is_asked_once_in_sixteen_tokens_whether_all_is_over(monkeypatch):
    """Without a GPU: the loop is told that it has one, and looks at memory are counted."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from zoo.backends.torch import compiling

    class Looks(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, arguments=(), kwargs=None):
            self.count += function is torch.ops.aten._local_scalar_dense.default
            return function(*arguments, **(kwargs or {}))

    assert compiling.steps_between_looks(torch.device("cuda")) == 16
    assert compiling.steps_between_looks(torch.device("cpu")) == 1
    for model in (tiny_gpt(max_length=128), tiny_transformer(max_length=128)):
        prompts = [TEXTS[0][:5], TEXTS[1][:9]]
        on_cpu = model.generate(prompts, max_new_tokens=64)
        looks = []
        with monkeypatch.context() as patch:
            patch.setattr(compiling, "steps_between_looks", lambda device: compiling.LOOK_EVERY)
            for count in (16, 64):
                with Looks() as seen:
                    assert model.generate(prompts, max_new_tokens=count)
                looks.append(seen.count)
            assert model.generate(prompts, max_new_tokens=64) == on_cpu
        assert looks[1] - looks[0] <= 3  # for 48 tokens


@only_torch
def test_streamed_tokens_share_weights_that_were_cast_once(monkeypatch):
    from zoo.backends.torch.graph import TracedFunction

    model, prepared = tiny_gpt(dtype="mixed_bfloat16", with_tokenizer=False), []
    prepare = TracedFunction.prepare
    monkeypatch.setattr(
        TracedFunction, "prepare", lambda self, v: prepared.append(self) or prepare(self, v)
    )
    ids = list(model.stream([1, 2], max_new_tokens=20))
    assert len(ids) == 20
    assert len(prepared) == 2  # for the prompt, and for all steps
    assert ids == model.generate([1, 2], max_new_tokens=20, strip_prompt=True)


def test_a_mixed_model_casts_what_its_layers_would_cast():
    from zoo.backends.compiled import CastWeights

    model = tiny_gpt(dtype="mixed_bfloat16")
    dtypes = {
        weight.path.split("/", 1)[-1]: keras.backend.standardize_dtype(value.dtype)
        for weight, value in zip(model.weights, CastWeights(model).values(), strict=True)
    }
    kernels = [dtype for path, dtype in dtypes.items() if path.endswith(("kernel", "embeddings"))]
    assert set(kernels) == {"bfloat16"}
    plain = CastWeights(tiny_gpt()).values()
    assert {keras.backend.standardize_dtype(value.dtype) for value in plain} == {"float32"}


def test_numbers_of_prompts_and_lengths_share_compilations(monkeypatch):
    model, shapes = tiny_gpt(), []
    inner = type(model.backbone).call_with_cache

    def counted(self, token_ids, *arguments):
        shapes.append(tuple(token_ids.shape))
        return inner(self, token_ids, *arguments)

    monkeypatch.setattr(type(model.backbone), "call_with_cache", counted)
    for count in (1, 2, 3, 4):
        model.generate(["The sea"] * count, max_new_tokens=4, batch_size=4)
    assert {rows for rows, _ in shapes} == {1, 2, 4}
    assert len(shapes) <= 3 * 2 * 2  # prompt and step, each perhaps traced twice


def test_scores_of_all_lengths_share_compilations(monkeypatch):
    model, shapes = tiny_gpt(), []
    inner = type(model).call

    def counted(self, inputs, *arguments, **kwargs):
        shapes.append(tuple(inputs.shape if ops.is_tensor(inputs) else inputs["token_ids"].shape))
        return inner(self, inputs, *arguments, **kwargs)

    monkeypatch.setattr(type(model), "call", counted)
    for length in range(1, 32, 3):
        model.score(["x" * length])
    assert set(shapes) <= {(1, 16), (1, 32)}
    assert buckets.bucket_sizes(100, 16, 64) == [16, 32, 64]


@pytest.mark.slow_to_compile
def test_eight_cold_threads_get_what_one_gets():
    model, reference = tiny_gpt(), tiny_gpt()
    prompts = ["The sea", "It", "x" * 20, "", "captain", "He laughed.", "1", "the best of"]
    arguments = {"max_new_tokens": 6, "sampler": Sampler(1.0, top_p=0.9), "seed": 3}

    def ask(prompt):
        nats, _ = model.score([prompt or "x"])
        text = model.generate(prompt, **arguments)
        return float(nats[0]), text, text == prompt + "".join(model.stream(prompt, **arguments))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, prompts))
    for prompt, (nats, text, is_same) in zip(prompts, answers, strict=True):
        assert is_same
        assert text == reference.generate(prompt, **arguments)
        assert nats == pytest.approx(float(reference.score([prompt or "x"])[0][0]), rel=1e-4)


def test_reading_beside_a_fit_does_not_fail():
    model = tiny_gpt(scale=0.05)
    model.compile(optimizer=keras.optimizers.SGD(0.0))
    expected = model.generate("The sea", max_new_tokens=8)
    answers, done = [], threading.Event()

    def read():
        while not done.is_set() and len(answers) < 200:
            answers.append(model.generate("The sea", max_new_tokens=8))

    thread = threading.Thread(target=read)
    thread.start()
    try:
        model.fit(np.ones((24, 9), "int32"), batch_size=2, verbose=0)
    finally:
        done.set()
        thread.join()
    assert set(answers) <= {expected}
    assert model.generate("The sea", max_new_tokens=8) == expected


def test_a_stream_prepares_its_weights_once(monkeypatch):
    """Not for each token: whatever a backend does with weights before a loop, it does then."""
    model, counts = tiny_gpt(dtype="mixed_bfloat16"), []
    if keras.backend.backend() == "torch":
        from zoo.backends.torch.graph import TracedFunction as kind

        name = "prepare"
    else:
        from zoo.backends.compiled import CastWeights as kind

        name = "__init__"
    method = getattr(kind, name)

    def counted(self, *arguments):
        counts.append(1)
        return method(self, *arguments)

    monkeypatch.setattr(kind, name, counted)
    assert len(list(model.stream([1, 2, 3], max_new_tokens=6))) == 6
    assert len(counts) == 2  # for the prompt, and for all steps
