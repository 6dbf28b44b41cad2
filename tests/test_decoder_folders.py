"""Decoders of transformers with odd shapes: the same numbers and ids, there and back."""

import numpy as np
import pytest
from keras import ops

import zoo
from zoo.checkpoints.engine import all_arguments

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

SIZES = {
    "vocab_size": 61,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "max_position_embeddings": 32,
    "initializer_range": 0.3,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
GROUPED = {**SIZES, "num_key_value_heads": 2, "rms_norm_eps": 1e-3}
LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
YARN = {"factor": 4.0, "original_max_position_embeddings": 8}
LAYERS = ["full_attention", "sliding_attention", "full_attention"]


def rope(kind="default", base=5e3, **others):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": base, **others}}


CASES = {
    "llama": ("Llama", {**GROUPED, "head_dim": 6, "tie_word_embeddings": False}),
    "llama: tied, biases": (
        "Llama",
        {**SIZES, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    ),
    "llama: linear": ("Llama", {**GROUPED, **rope("linear", factor=2.5), "hidden_act": "gelu"}),
    "llama: llama3": ("Llama", {**GROUPED, **rope("llama3", factor=8.0, **LLAMA3)}),
    "llama: dynamic": ("Llama", {**GROUPED, **rope("dynamic", factor=2.0)}),
    "llama: yarn": ("Llama", {**GROUPED, **rope("yarn", **YARN)}),
    "llama: yarn by two scales": (
        "Llama",
        {**GROUPED, **rope("yarn", **YARN, mscale=2.0, mscale_all_dim=0.5, beta_fast=16.0)},
    ),
    "mistral": ("Mistral", {**GROUPED, "head_dim": 10, "hidden_size": 26, "sliding_window": 5}),
    "qwen2": ("Qwen2", {**GROUPED, "tie_word_embeddings": True}),
    "qwen2: windows": (
        "Qwen2",
        {**GROUPED, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "qwen3": ("Qwen3", {**GROUPED, "head_dim": 10, "attention_bias": True}),
    "qwen3: windows": (
        "Qwen3",
        {
            **GROUPED,
            "head_dim": 4,
            "use_sliding_window": True,
            "sliding_window": 3,
            "layer_types": LAYERS,
        },
    ),
    "smollm3": ("SmolLM3", {**GROUPED, "no_rope_layer_interval": 2, "mlp_bias": True}),
    "smollm3: windows": (
        "SmolLM3",
        {
            **GROUPED,
            "no_rope_layers": [0, 1, 1],
            "use_sliding_window": True,
            "sliding_window": 4,
            "tie_word_embeddings": False,
        },
    ),
    "gpt_neox": ("GPTNeoX", {**SIZES, "rope_parameters": {"partial_rotary_factor": 0.5}}),
    "gpt_neox: serial, tied": (
        "GPTNeoX",
        {
            **SIZES,
            **rope("linear", factor=2.0, partial_rotary_factor=1.0),
            "use_parallel_residual": False,
            "attention_bias": False,
            "tie_word_embeddings": True,
            "hidden_act": "gelu_new",
        },
    ),
}
EVERYWHERE = ("llama", "qwen3: windows", "gpt_neox")  # the rest is held to these by other tests
GREEDY = ("llama", "llama: dynamic", "mistral", "qwen2: windows", "smollm3: windows", "gpt_neox")
IDS = np.random.default_rng(0).integers(3, 61, (2, 17)).astype("int32")


@pytest.fixture(
    scope="module",
    params=[
        case if case in EVERYWHERE else pytest.param(case, marks=pytest.mark.slow_to_compile)
        for case in CASES
    ],
)
def theirs(request, tmp_path_factory):
    """A random model of theirs, the folder that it was saved to, and its name here."""
    name, config = CASES[request.param]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**config)
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "norm" in parameter_name or "bias" in parameter_name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    folder = tmp_path_factory.mktemp("theirs")
    model.save_pretrained(folder)
    return model, folder, request.param


@pytest.fixture(scope="module")
def ours(theirs):
    return zoo.load(theirs[1])


def their_logits(model, ids=IDS):
    with torch.no_grad():
        return model(torch.tensor(ids, dtype=torch.long)).logits.numpy()


def our_logits(model, ids=IDS):
    return ops.convert_to_numpy(ops.stop_gradient(model(ids)))


def test_logits_are_theirs(theirs, ours):
    np.testing.assert_allclose(our_logits(ours), their_logits(theirs[0]), rtol=1e-4, atol=1e-4)


def their_greedy(model, prompt, count):
    with torch.no_grad():
        ids = torch.tensor([prompt])
        whole = model.generate(ids, max_new_tokens=count, do_sample=False, eos_token_id=2)
    new = whole[0].tolist()[len(prompt) :]
    return new[: new.index(2)] if 2 in new else new


def test_greedy_ids_are_theirs(theirs, ours):
    name = theirs[2]
    if name not in GREEDY:
        pytest.skip("Decoding is the same code for all of them.")
    prompts = [IDS[0, :5].tolist(), IDS[1, :9].tolist()]
    found = ours.generate(prompts, max_new_tokens=12, strip_prompt=True)
    assert found == [their_greedy(theirs[0], prompt, 12) for prompt in prompts]
    if name == "llama: dynamic":
        longer = zoo.load(theirs[1], max_length=64)
        (found,) = longer.generate(prompts[:1], max_new_tokens=40, strip_prompt=True)
        assert len(found) == 40  # over the 32 positions of training
        assert found == their_greedy(theirs[0], prompts[0], 40)


def test_what_is_written_they_open_with_the_same_logits(theirs, ours, tmp_path):
    model = theirs[0]
    zoo.save(ours, tmp_path / "back", format="transformers")
    again = type(model).from_pretrained(tmp_path / "back").eval()
    np.testing.assert_allclose(their_logits(again), their_logits(model), rtol=1e-5, atol=1e-5)
    assert type(transformers.AutoConfig.from_pretrained(tmp_path / "back")) is type(model.config)
    assert again.generation_config.eos_token_id == 2
    once_more = zoo.load(tmp_path / "back", weights=False)
    one, other = (all_arguments(task.backbone) | {"name": ""} for task in (once_more, ours))
    assert one == other
