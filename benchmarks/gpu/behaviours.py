"""What must hold on a device besides equal numbers: memory, files, kernels, arrays in and out.

A check returns an `Outcome`; what it raises becomes one that failed.
"""

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

import zoo
from benchmarks.gpu import devices, small, trials

MIB = 2**20
STEPS, GENERATES = 50, 20


class Outcome(NamedTuple):
    """`passed` is None where there is nothing to pass: the value is told."""

    passed: bool | None
    value: str
    tolerance: str = ""


class Check(NamedTuple):
    """`run(size, dtype)` gives an `Outcome`."""

    run: object
    precisions: tuple


CHECKS = {}


def check(name, precisions=trials.FLOAT32):
    def register(run):
        CHECKS[name] = Check(run, precisions)
        return run

    return register


@check("device: tensors and weights are on it")
def on_device(size, dtype):
    device, model = devices.current(), small.gpt(size)
    tensors = [ops.zeros((2,)), ops.arange(2), ops.convert_to_tensor(np.ones(2, "int32"))]
    tensors += [weight.value for weight in model.weights]
    tensors.append(model(small.token_ids(size)))
    away = sum(not device.is_on_device(tensor) for tensor in tensors)
    return Outcome(away == 0, f"{away} of {len(tensors)} elsewhere", "0")


@check("arrays: results come back as NumPy's", trials.ALL)
def arrays_out(size, dtype):
    model, (x, y) = small.gpt(size, dtype), small.causal_batch(size)
    given = {
        "convert_to_numpy": ops.convert_to_numpy(model(x)),
        "predict": model.predict(x, verbose=0),
        "predict_on_batch": model.predict_on_batch(x),
        "bool": ops.convert_to_numpy(ops.arange(3) > 1),
        "weights": model.get_weights()[0],
    }
    wrong = [name for name, value in given.items() if not isinstance(value, np.ndarray)]
    numbers = [*model.evaluate(x, y, verbose=0), *model.test_on_batch(x, y)]
    wrong += ["evaluate, test_on_batch"] * (not all(np.isfinite(float(n)) for n in numbers))
    return Outcome(not wrong, ", ".join(wrong) or "all", "all")


@check("arrays: fit takes tensors on the device")
def tensors_in(size, dtype):
    batch = [ops.convert_to_tensor(array) for array in small.causal_batch(size)]
    return falls(small.train(small.gpt(size), batch, size))


@check("arrays: fit takes batches that a PyDataset reads")
def dataset_in(size, dtype):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return size.steps

        def __getitem__(self, index):
            return small.causal_batch(size)

    model = small.gpt(size)
    first = model.evaluate(Batches(), verbose=0, return_dict=True)["loss"]
    model.fit(Batches(), verbose=0)
    return falls([first, model.evaluate(Batches(), verbose=0, return_dict=True)["loss"]])


@check("arrays: fit on texts, with validation")
def texts_in(size, dtype):
    texts = list(small.models.TEXTS) * 4
    history = small.gpt(size).fit(
        texts, validation_data=texts[:3], batch_size=2, epochs=2, verbose=0
    )
    losses = history.history
    return falls([*losses["loss"], *losses["val_loss"][-1:]])


def falls(losses):
    passed = bool(np.all(np.isfinite(losses)) and losses[-1] < losses[0])
    return Outcome(passed, f"{losses[0]:.3f} to {losses[-1]:.3f}", "falls")


@check("golden file: logits")
def golden_logits(size, dtype):
    expected = np.array(golden()["logits"])
    seen = ops.convert_to_numpy(golden_gpt()(small.models.random_ids(2, 9)))
    return Outcome(*trials.compare("numbers", seen.ravel(), expected.ravel(), 1e-5), "1e-05")


@check("golden file: losses of 50 steps")
def golden_losses(size, dtype):
    ids = small.models.random_ids(100, 33, seed=4) // 8
    batches = ((ids[i : i + 2, :-1], ids[i : i + 2, 1:]) for i in range(0, 100, 2))
    model = golden_gpt(scale=0.1)
    model.compile(optimizer=keras.optimizers.AdamW(3e-3, weight_decay=0.1, global_clipnorm=1.0))
    history = model.fit(batches, steps_per_epoch=1, epochs=50, shuffle=False, verbose=0)
    expected = golden()["losses"]
    return Outcome(*trials.compare("losses", history.history["loss"], expected, 1e-4), "1e-04")


@check("golden file: texts, greedy and sampled")
def golden_texts(size, dtype):
    prompts, model = ["The sea", "", "Nobody spoke “"], golden_gpt()
    sampler = zoo.generation.Sampler(1.1, top_k=80, top_p=0.9)
    seen = model.generate(prompts, max_new_tokens=24)
    seen += model.generate(prompts, max_new_tokens=24, sampler=sampler, seed=3)
    expected = [text for texts in golden()["texts"] for text in texts]
    return Outcome(*trials.compare("texts", seen, expected, None), "equal")


def golden():
    return json.loads((small.TESTS / "data" / "golden_gpt.json").read_text(encoding="utf-8"))


def golden_gpt(scale=0.3):
    return small.models.tiny_gpt(num_layers=2, scale=scale)


@check("mixed_float16: the loss is scaled", ("mixed_float16",))
def loss_scaling(size, dtype):
    optimizer = small.gpt(size, dtype).optimizer
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return Outcome(scaled, type(optimizer).__name__, "LossScaleOptimizer")


@check("fit: dropout, twice from one seed")
def dropout(size, dtype):
    def losses():
        keras.utils.set_random_seed(0)
        return small.train(small.gpt(size, dropout=0.1), small.causal_batch(size), size)

    first, second = losses(), losses()
    if not np.all(np.isfinite(first)):
        return Outcome(False, f"losses are {first}", "finite")
    off = np.max(np.abs(np.array(first) / second - 1))
    return Outcome(True, "equal to the bit" if off == 0 else f"{off:.1e} apart", "finite")


@check("kernel: LSTM", trials.ALL)
def lstm_kernel(size, dtype):
    layer = zoo.layers.LSTMLayer(size.width, dtype=dtype)
    x = np.ones((size.rows, size.length, size.width), "float32")
    layer(x)
    device = devices.current()
    names = device.kernels(lambda x: layer(x)[0], x)
    found = sorted(name for name in names if "rnn" in name.lower() or "lstm" in name.lower())
    told = shorten(found, "no kernel of its own: a loop over positions")
    if not device.is_gpu or dtype != "float32":  # which kernels know half precision varies
        return Outcome(None, told)
    return Outcome(any("cudnn" in name.lower() for name in found), told, "cuDNN")


@check("kernel: attention, causal", trials.ALL)
def causal_kernel(size, dtype):
    layer = zoo.layers.MultiHeadAttention(size.heads, causal=True, dtype=dtype)
    return attention_kernel(layer, size, dtype)


@check("kernel: attention, padded", trials.ALL)
def padded_kernel(size, dtype):
    layer = zoo.layers.MultiHeadAttention(size.heads, dtype=dtype)
    return attention_kernel(layer, size, dtype, small.row_mask(size))


def attention_kernel(layer, size, dtype, *mask):
    """In half precision a GPU has kernels that keep no scores; in float32 not everywhere."""
    x = np.ones((size.rows, size.length, size.width), "float32")

    def attend(x, mask=None):
        return layer(x, padding_mask=mask)

    attend(x, *mask)
    device, fused = devices.current(), ("flash", "fmha", "efficient", "cudnn")
    found = sorted(
        name
        for name in device.kernels(attend, x, *mask)
        if any(word in name.lower() for word in fused)
    )
    told = shorten(found, "no kernel of its own: products and a softmax")
    if not device.is_gpu or dtype == "float32":
        return Outcome(None, told)
    return Outcome(bool(found), told, "fused")


def shorten(names, none):
    return ", ".join(name[:60] for name in names[:4]) or none


@check("files: save and load, to the bit")
def save_and_load(size, dtype):
    model, ids = small.gpt(size), small.token_ids(size)
    with tempfile.TemporaryDirectory() as folder:
        zoo.save(model, Path(folder) / "preset")
        loaded = zoo.load(Path(folder) / "preset")
        half = zoo.load(Path(folder) / "preset", dtype="mixed_bfloat16")
        before, after, rounded = (m.predict(ids, verbose=0) for m in (model, loaded, half))
    off = np.linalg.norm(rounded.astype("float32") - before) / np.linalg.norm(before)
    same = bool(np.array_equal(before, after))
    told = f"{'equal' if same else 'not equal'}; in bfloat16 {off:.1e} apart"
    return Outcome(same and bool(off < trials.NUMBERS["mixed_bfloat16"]), told, "equal; 2e-02")


@check("files: .keras, with the optimizer's state")
def keras_file(size, dtype):
    model, batch = small.gpt(size), small.causal_batch(size)
    small.train(model, batch, size)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        loaded = keras.saving.load_model(Path(folder) / "model.keras")
    losses = [one.train_on_batch(*batch, return_dict=True)["loss"] for one in (model, loaded)]
    losses += [one.train_on_batch(*batch, return_dict=True)["loss"] for one in (model, loaded)]
    off = max(abs(losses[0] / losses[1] - 1), abs(losses[2] / losses[3] - 1))
    return Outcome(bool(off < 1e-5), f"next losses {off:.1e} apart", "1e-05")


@check("stream: the pieces of what generate writes")
def streaming(size, dtype):
    model, sampler = small.gpt(size), zoo.generation.Sampler()
    arguments = {"max_new_tokens": 8, "sampler": sampler, "seed": 1}
    whole = model.generate("The sea", strip_prompt=True, **arguments)
    pieces = "".join(model.stream("The sea", **arguments))
    return Outcome(pieces == whole, "equal" if pieces == whole else repr((pieces, whole)), "equal")


@check("memory: 50 steps of fit")
def memory_of_fit(size, dtype):
    model, batch = small.gpt(size), small.causal_batch(size)
    size = size._replace(steps=STEPS // 5)

    def steps():
        model.fit(*batch, batch_size=size.rows, epochs=STEPS // 5, verbose=0)

    return growth(steps, 5)


@check("memory: 20 calls of generate")
def memory_of_generate(size, dtype):
    model, sampler = small.gpt(size), zoo.generation.Sampler()

    def write():
        model.generate(["The sea", "Nobody"], max_new_tokens=8, sampler=sampler, seed=1)

    return growth(write, GENERATES)


def growth(function, times):
    """How many bytes more are in use after calls of what is warm; a CPU's are those resident."""
    device = devices.current()
    function()
    function()
    device.synchronize()
    before = device.bytes_in_use()
    for _ in range(times):
        function()
    device.synchronize()
    grown, most = device.bytes_in_use() - before, MIB if device.is_gpu else 64 * MIB
    return Outcome(grown <= most, f"{grown / MIB:+.1f} MiB", f"{most / MIB:.0f} MiB")
