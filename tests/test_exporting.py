"""The exported graph against the library: same ids, same logits, same text."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import zoo.exporting
from zoo.exporting import export
from zoo.generation import Sampler
from zoo.generation.noise import uniform_noise
from zoo.models import GPT
from zoo.objectives import pad
from zoo.tasks.causal_lm import CausalLM
from zoo.tokenizers import BytePairTokenizer, WordPieceTokenizer

CONTEXT = 96
SEED = 4  # some rows end early, and greedy text is varied
PROMPTS = ["It was a dark", "", "def f(x):\n    return", "六 day <|endoftext|>", "  "]
SAMPLERS = [
    # max_new_tokens, temperature, top_p, seed
    (24, 0.0, 1.0, 0),
    (24, 1.0, 1.0, 5),
    (24, 0.7, 0.5, -3),
    (1, 1.5, 0.9, 2**31 - 1),
    (24, 2.0, 0.95, 11),
]
VARIED = [
    "It was a dark night; the rain fell -- in torrents, he said. \"Don't!\" It's 12 o'clock.",
    "it's 'sabc ''s \n's  's S'S we'll they've I'd 'll'd",
    "def f(x):\n    if x:\n\t\treturn  {'a': 1}\r\n\r\n\n  # done\n",
    "hi 👍🏽 ok 🤷\u200d♀️!!",
    "今天天气很好。 你好 こんにちは 안녕하세요",
    "६ और १६ बजे",
    "a\x00b\x01\x0b\x0c\x7f\x85c",
    "  leading   and  trailing   ",
    "\n\na\n\n\nb\n \n  ",
    "a<|endoftext|>b <|endoftext|>",
    "\ufeffa\u00a0b\u00a0\u00a0c\u2003d\u2003\u2003 e\u2028f\u200bg",
    "Ⅷ ① ²³½ e\u0301",
    " ",
    "  ",
    "",
]

# A process of somebody who has TensorFlow and nothing else of ours.
CONSUMER = """
import json, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("zoo", "keras_nlp", "keras_hub", "tokenizers", "tensorflow_text"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import tensorflow as tf

def call(signatures, name, **inputs):
    def tensor(dtype, value):
        if dtype == "string":
            value = [text.encode("latin-1") for text in value]
        return tf.constant(value, dtype, shape=[0] if value == [] else None)
    try:
        outputs = signatures[name](**{key: tensor(*value) for key, value in inputs.items()})
    except tf.errors.InvalidArgumentError as error:
        return {"error": error.message}
    return {key: decoded(value.numpy().tolist()) for key, value in outputs.items()}

def decoded(value):
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value

requests = json.load(open(sys.argv[1]))
results = {}
for folder, calls in requests.items():
    signatures = tf.saved_model.load(folder).signatures
    results[folder] = [sorted(signatures), *(call(signatures, n, **i) for n, i in calls)]
json.dump(results, open(sys.argv[2], "w"))
"""


def as_bytes(texts):
    return "string", [t.encode().decode("latin-1") for t in texts]


def generation(texts, max_new_tokens, temperature, top_p, seed, truncate=False):
    inputs = {
        "text": as_bytes(texts),
        "max_new_tokens": ("int32", max_new_tokens),
        "temperature": ("float32", temperature),
        "top_p": ("float32", top_p),
        "seed": ("int32", seed),
        "truncate": ("bool", truncate),
    }
    return "generate", inputs


def sampling(texts, max_new_tokens, temperature, top_p, seed, **others):
    inputs = generation(texts, max_new_tokens, temperature, top_p, seed)[1]
    whole = ("top_k", "min_new_tokens")
    for name, usual in INERT.items():
        dtype = "int32" if name in whole else "float32"
        inputs[name] = dtype, others.get(name, usual)
    return "sample", inputs


INERT = {
    "top_k": 0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "eta_cutoff": 0.0,
    "min_new_tokens": 0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
ASKED = (
    {"min_new_tokens": 20, "repetition_penalty": 1.3, "presence_penalty": 0.5},
    {"top_k": 40, "min_p": 0.001, "typical_p": 0.9, "eta_cutoff": 0.001, "frequency_penalty": 0.3},
)


TOO_LONG = ["def f(x):\n    return " * 30, "It was a dark", "", "六 day " * 40]


def logits(token_ids, padding_mask):
    inputs = {
        "token_ids": ("int32", np.asarray(token_ids).tolist()),
        "padding_mask": ("bool", np.asarray(padding_mask).tolist()),
    }
    return "serving_default", inputs


def make_model(tokenizer, dtype="float32", vocab_size=None, num_layers=2):
    vocab_size = vocab_size or tokenizer.vocab_size
    backbone = GPT(vocab_size, num_layers, 2, 16, max_length=CONTEXT, dtype=dtype)
    chance = np.random.default_rng(SEED)  # the same weights on every backend
    for weight in backbone.weights:
        weight.assign(chance.normal(0, 0.4, weight.shape))
    return CausalLM(backbone, tokenizer)


@pytest.fixture(scope="module")
def tokenizer():
    return BytePairTokenizer.train(VARIED * 3, vocab_size=380)


@pytest.fixture(scope="module")
def model(tokenizer):
    return make_model(tokenizer)


@pytest.fixture(scope="module")
def half_model():
    """In mixed precision, and without tokenizer."""
    return make_model(None, dtype="mixed_bfloat16", vocab_size=50, num_layers=1)


@pytest.fixture(scope="module")
def inputs(tokenizer):
    ids = np.random.default_rng(0).integers(0, tokenizer.vocab_size, (3, 17)).astype("int32")
    return {"token_ids": ids, "padding_mask": np.arange(17) < np.array([[17], [9], [1]])}


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """Export models, then call all their signatures in one process that has TensorFlow alone."""

    def run(models, calls):
        folder = tmp_path_factory.mktemp("exported")
        for name, model in models.items():
            target = folder / name
            target.mkdir()
            (target / "saved_model.pb").write_text("an old one, to be replaced")
            export(model, target)
        assert sorted(path.name for path in folder.iterdir()) == sorted(models)
        files = folder / "consumer.py", folder / "requests.json", folder / "results.json"
        files[0].write_text(CONSUMER)
        files[1].write_text(json.dumps({str(folder / n): c for n, c in calls.items()}))
        process = subprocess.run([sys.executable, *files], capture_output=True, text=True)
        assert process.returncode == 0, process.stderr
        assert "gradient" not in process.stderr  # TensorFlow warns of those that it cannot have
        return {Path(k).name: v for k, v in json.loads(files[2].read_text()).items()}

    return run


BAD_CALLS = [
    (generation(["a b " * 60], 8, 0.0, 1.0, 0), "must fit into the context of 96 tokens"),
    (generation(["a b " * 60], 96, 0.0, 1.0, 0, True), "must fit into the context of 96 tokens"),
    (generation(["a"], 96, 0.0, 1.0, 0), "keep only the end of a prompt; got] [1] [and]"),
    (generation(["a"], 0, 0.0, 1.0, 0), "max_new_tokens must be at least 1; got] [0]"),
    (generation(["a"], 1, -1.0, 1.0, 0), "temperature must be at least 0 and finite (0 is greedy)"),
    (generation(["a"], 1, 1.0, 0.0, 0), "top_p must be above 0 and at most 1; got] [0]"),
    (sampling(["a"], 1, 1.0, 1.0, 0, top_k=-1), "top_k must be at least 0 (0 keeps every token)"),
    (sampling(["a"], 1, 1.0, 1.0, 0, typical_p=0.0), "typical_p must be above 0 and at most 1"),
    (("score", {"text": as_bytes(["a b " * 60])}), "must fit into the context of 96 tokens"),
    (logits([[0] * 97], [[True] * 97]), "must fit into the context of 96 tokens; got] [97]"),
    (logits([[-1]], [[True]]), "Token ids must be from 0 to"),
]


@pytest.fixture(scope="module")
def served(serve, model, half_model, inputs):
    """What the exported models answered."""
    calls = {
        "logits": logits(**inputs),
        "generate": [generation(PROMPTS, *sampler) for sampler in SAMPLERS],
        "sample": [
            sampling(PROMPTS, 24, t, 0.95, 3, **asked) for t in (0.0, 1.2) for asked in ASKED
        ],
        "ended": [generation([""] * 16, n, 1.0, 1.0, 0) for n in (15, 30)],
        "cut": [generation(TOO_LONG, *sampler, truncate=True) for sampler in SAMPLERS[:2]],
        "empty": generation([], 4, 1.0, 1.0, 0),
        "not utf-8": (
            "generate",
            generation([], 4, 0.0, 1.0, 0)[1] | {"text": ("string", ["\xff"])},
        ),
        "score": ("score", {"text": as_bytes(VARIED)}),
        "tokenize": ("tokenize", {"text": as_bytes(VARIED)}),
        "bad": [call for call, _ in BAD_CALLS],
    }
    flat = [call for part in calls.values() for call in (part if type(part) is list else [part])]
    half = [logits([[1, 2, 3]], [[True] * 3])]
    answers = serve({"full": model, "half": half_model}, {"full": flat, "half": half})
    names, *results = answers["full"]
    assert names == ["generate", "sample", "score", "serving_default", "tokenize"]
    results = iter(results)
    named = {
        name: [next(results) for _ in part] if type(part) is list else next(results)
        for name, part in calls.items()
    }
    return {**named, "half": answers["half"]}


def test_ids_are_the_tokenizers(served, tokenizer):
    token_ids, padding_mask = pad(tokenizer.encode(VARIED))
    np.testing.assert_array_equal(served["tokenize"]["token_ids"], token_ids)
    np.testing.assert_array_equal(served["tokenize"]["padding_mask"], padding_mask)


def test_logits_are_the_models(served, model, inputs):
    expected = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(served["logits"]["logits"], expected, atol=1e-4)


@pytest.mark.parametrize("case", range(len(SAMPLERS)))
def test_generated_text_is_the_models(served, model, case):
    max_new_tokens, temperature, top_p, seed = SAMPLERS[case]
    sampler = Sampler(temperature, top_p=top_p)
    expected = model.generate(PROMPTS, max_new_tokens, sampler, seed=seed)
    assert served["generate"][case]["text"] == expected


@pytest.mark.parametrize("case", range(4))
def test_what_is_asked_of_samples_is_the_models(served, model, case):
    temperature, asked = (0.0, 1.2)[case // 2], dict(ASKED[case % 2])
    filters = {n: asked.pop(n) for n in ("top_k", "min_p", "typical_p", "eta_cutoff") if n in asked}
    sampler = Sampler(temperature, top_p=0.95, **filters)
    found = model.generate(PROMPTS, 24, sampler, seed=3, return_scores=True, **asked)
    assert served["sample"][case]["text"] == [one.output for one in found]
    seen = served["sample"][case]["log_prob"]
    np.testing.assert_allclose(seen, [one.score for one in found], rtol=1e-3)


def test_generation_stops_at_the_end_token(served, model):
    short, long = (answer["text"] for answer in served["ended"])
    assert long == model.generate([""] * 16, 30, Sampler(1.0, top_p=1.0), seed=0)
    assert any(a == b for a, b in zip(short, long, strict=True))
    ended = [a == b for a, b in zip(short, long, strict=True)]
    assert any(ended)
    assert not all(ended)


@pytest.mark.parametrize("case", [0, 1])
def test_of_a_prompt_that_is_too_long_the_end_is_read_as_in_the_task(served, model, case):
    max_new_tokens, temperature, top_p, seed = SAMPLERS[case]
    sampler = Sampler(temperature, top_p=top_p)
    with pytest.raises(ValueError, match="must fit into the context"):
        model.generate(TOO_LONG, max_new_tokens, sampler, seed=seed)
    expected = model.generate(TOO_LONG, max_new_tokens, sampler, seed=seed, truncate=True)
    assert served["cut"][case]["text"] == expected


def test_an_empty_batch_gives_an_empty_batch(served):
    assert served["empty"] == {"text": []}


def test_text_that_is_not_utf8_reads_as_replacement_characters(served, model):
    assert served["not utf-8"]["text"] == [model.generate("\ufffd", 4)]


def test_scores_of_varied_text_are_the_models(served, model):
    nats, tokens = model.score(VARIED)
    np.testing.assert_allclose(served["score"]["nats"], nats, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(served["score"]["tokens"], tokens)


@pytest.mark.parametrize("case", range(len(BAD_CALLS)))
def test_bad_input_is_a_clear_error(served, case):
    assert BAD_CALLS[case][1] in served["bad"][case]["error"]


def test_mixed_precision_without_tokenizer(served, half_model):
    names, answer = served["half"]
    assert names == ["serving_default"]
    expected = half_model.predict(np.array([[1, 2, 3]]), verbose=0).astype("float32")
    tolerance = 0.02 * np.abs(expected).max()  # bfloat16 keeps 8 bits
    np.testing.assert_allclose(answer["logits"], expected, atol=tolerance)


@pytest.mark.slow_to_compile
def test_generation_in_mixed_precision(tokenizer, backend):
    if backend != "tensorflow":
        pytest.skip("The graph is TensorFlow's.")
    import tensorflow as tf

    from zoo.exporting.causal import generate_signature, sample_signature
    from zoo.exporting.tokenizers.byte_pairs import GraphTokenizer

    model = make_model(tokenizer, "mixed_float16")
    graph = generate_signature(sample_signature(model, GraphTokenizer(tokenizer)))
    inputs = (tf.constant(x) for x in (PROMPTS, 8, 0.0, 1.0, 0, False))
    texts = [text.decode() for text in graph(*inputs)["text"].numpy()]
    assert texts == model.generate(PROMPTS, 8)


def test_no_rows_give_no_logits(model, backend):
    if backend != "tensorflow":
        pytest.skip("The graph is TensorFlow's.")
    import tensorflow as tf

    from zoo.exporting.causal import logits_signature

    nothing = tf.zeros([0, 4], "int32"), tf.zeros([0, 4], "bool")
    logits = logits_signature(model)(*nothing)["logits"]
    assert logits.shape == (0, 4, model.backbone.vocab_size)


# The parts, which are TensorFlow's whatever the backend.


def random_texts(count):
    chance = random.Random(0)
    valid = [*range(0xD800), *range(0xE000, 0x110000)]
    pools = [
        "'stmdrevl S\u2019",
        "ab1 \n\t'!",
        " \u00a0\u2003\u3000\n\x0b\x85\u180ex",
        "é漢字かな한글हिन्दी६१²Ⅷ",
        "👍🏽🤷\u200d♀️\x00\x01\ufeff",
        "".join(map(chr, range(0x250))),
        "".join(map(chr, valid)),
    ]
    for i in range(count):
        yield "".join(chance.choices(pools[i % len(pools)], k=chance.randrange(40)))


@pytest.fixture(scope="module")
def graph_tokenizer(tokenizer):
    from zoo.exporting.tokenizers.byte_pairs import GraphTokenizer

    return GraphTokenizer(tokenizer)


@pytest.mark.backend_free
def test_graph_tokenizer_gives_the_same_ids(graph_tokenizer, tokenizer):
    import tensorflow as tf

    encode = tf.function(graph_tokenizer.encode, [tf.TensorSpec([None], "string")], autograph=False)
    texts = [*VARIED, *random_texts(2000), "漢" * 100, "ab" * 100]
    ids = encode(tf.constant([text.encode() for text in texts])).to_list()
    different = [t for t, a, b in zip(texts, ids, tokenizer.encode(texts), strict=True) if a != b]
    assert different == []
    assert encode(tf.constant([], "string")).to_list() == []


@pytest.mark.backend_free
def test_graph_tokenizer_knows_every_character(graph_tokenizer, tokenizer):
    points = np.r_[:0x3100, 0x3100:0xD800:11, 0xE000:0x30000:11]
    texts = [f"a{chr(c)} b{chr(c)}{chr(c)}1{chr(c)}!" for c in points]
    ids = graph_tokenizer.encode([text.encode() for text in texts]).to_list()
    assert ids == tokenizer.encode(texts)


@pytest.mark.backend_free
def test_graph_tokenizer_gives_the_same_text(graph_tokenizer, tokenizer):
    import tensorflow as tf

    chance = random.Random(0)
    every_id = range(tokenizer.vocab_size)
    # The first ids are single bytes, which seldom spell UTF-8.
    rows = [chance.choices(every_id[: 300 - i % 50], k=chance.randrange(20)) for i in range(3000)]
    texts = graph_tokenizer.decode(tf.ragged.constant(rows, "int32")).numpy()
    assert [text.decode() for text in texts] == tokenizer.decode(rows)


@pytest.mark.backend_free
def test_texts_begin_in_the_graph_as_they_do_here():
    tf = pytest.importorskip("tensorflow")
    from zoo.exporting.causal import begun

    rows = tf.ragged.constant([[5, 6], [], [7]], dtype="int32")
    assert begun(rows, 3, only_empty=True).to_list() == [[5, 6], [3], [7]]
    assert begun(rows, 2, only_empty=False).to_list() == [[2, 5, 6], [2], [2, 7]]


@pytest.mark.backend_free
def test_a_tokenizer_without_merges():
    from zoo.exporting.tokenizers.byte_pairs import GraphTokenizer

    tokenizer = BytePairTokenizer.train(["a"], vocab_size=257)
    assert GraphTokenizer(tokenizer).encode(VARIED).to_list() == tokenizer.encode(VARIED)


@pytest.mark.backend_free
def test_noise_is_that_of_the_library():
    import tensorflow as tf

    from zoo.exporting.decoding import noise

    for seed in (0, 1, -1, 12345, 2**31 - 2, -(2**31)):
        expected = uniform_noise([seed] * 5, np.arange(5), [0] * 5, 7)
        np.testing.assert_array_equal(noise(tf.constant(seed), 5, 7), expected)


# What is refused, before anything is written.


def test_unknown_format(model, tmp_path):
    with pytest.raises(ValueError, match=r"format must be one of 'saved_model'; got 'onnx'"):
        export(model, tmp_path / "out", format="onnx")


def test_only_tasks_are_exported(model, tmp_path):
    with pytest.raises(TypeError, match=r"export takes a task, such as a zoo.CausalLM; got GPT"):
        export(model.backbone, tmp_path / "out")


def test_other_tokenizers_are_refused(tmp_path):
    tokenizer = WordPieceTokenizer.train(["a few words"], vocab_size=40)
    task = make_model(tokenizer)
    with pytest.raises(ValueError, match=r"Only a byte-level BPE .*: its model is WordPiece\. "):
        export(task, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("part", "change", "problem"),
    [
        ("normalizer", {"type": "NFC"}, "it normalises text"),
        (
            "pre_tokenizer",
            {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
            "it puts a space before text",
        ),
        ("pre_tokenizer", {"type": "Whitespace"}, "it does not split text as GPT-2 does"),
        ("added_tokens", [], "it has no end token"),
    ],
)
def test_what_a_graph_cannot_do_is_refused(tokenizer, part, change, problem):
    contents = json.loads(tokenizer.to_json()) | {part: change}
    with pytest.raises(ValueError, match=f"but of this one: {problem}"):
        zoo.exporting.checks.check_tokenizer(BytePairTokenizer(json.dumps(contents)))


def test_without_tensorflow(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ImportError, match=r'pip install "keras-zoo\[tensorflow\]"'):
        export(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_other_files_are_not_overwritten(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds other things, such as 'notes.txt'"):
        export(model, tmp_path)
    with pytest.raises(FileExistsError, match=r"notes.txt is a file"):
        export(model, tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.fixture
def failing_writer(backend, monkeypatch):
    """Make the writing fail halfway, with an error of choice."""

    def fail_with(error):
        def write(model, folder, tell=None):
            (folder / "saved_model.pb").write_text("half")
            raise error

        if backend == "tensorflow":
            monkeypatch.setattr("zoo.exporting.saved_model.write", write)
        else:
            monkeypatch.setattr(zoo.exporting, "_write_in_second_process", write)

    return fail_with


def test_a_failure_leaves_the_old_model(model, tmp_path, failing_writer):
    old = tmp_path / "out" / "saved_model.pb"
    old.parent.mkdir()
    old.write_text("whole")
    failing_writer(PermissionError(13, "Permission denied"))
    with pytest.raises(PermissionError, match=r"Cannot write .*no permission"):
        export(model, old.parent)
    failing_writer(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        export(model, tmp_path / "new")
    assert old.read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failing_second_process_is_one_clear_error(model, tmp_path, monkeypatch, backend):
    if backend == "tensorflow":
        pytest.skip("TensorFlow needs no second process.")
    monkeypatch.setattr(zoo.exporting, "save", lambda model, folder: None)
    for last_line, kind, message in (
        ("ValueError: all is lost", RuntimeError, "failed with exit status 1: ValueError: all is"),
        ("OSError: [Errno 28] No space left on device", OSError, "Cannot write .*the disk is full"),
    ):
        failed = 1, f"a long\ntrace\n{last_line}\n"
        monkeypatch.setattr(zoo.exporting, "_run", lambda *args, result=failed: result)
        with pytest.raises(kind, match=message):
            export(model, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.backend_free
def test_a_second_process_tells_how_far_it_is(monkeypatch, capsys):
    script = "import sys; print(1, 3); print('other words'); print(2, 3); sys.exit('lost')"
    monkeypatch.setattr("zoo.progress.QUIET_SECONDS", -1)
    tell = zoo.exporting.Told()
    assert zoo.exporting._run([sys.executable, "-c", script], None, tell) == (1, "lost\n")
    assert "1/3" in capsys.readouterr().out
