"""Decoders of transformers, beside the matrix of `benchmarks.parity`: configs, far positions."""

import json

import numpy as np
import pytest

import zoo
from benchmarks.parity.check import make_theirs, quiet
from benchmarks.parity.decoders import DECODERS
from zoo.checkpoints.configs import preset_config
from zoo.checkpoints.families import FOREIGN
from zoo.checkpoints.rows import all_arguments
from zoo.checkpoints.writing import family_of
from zoo.models import FAMILIES

transformers = pytest.importorskip("transformers")
CAUSAL = {case.name: case for case in DECODERS if case.cls.endswith("ForCausalLM")}
LLAMA = {
    "model_type": "llama",
    "vocab_size": 20,
    "hidden_size": 24,
    "intermediate_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
}


def task_of(theirs):
    config = preset_config(theirs, FOREIGN[theirs["model_type"]], "causal_lm", "config.json")
    return zoo.CausalLM(FAMILIES[config["family"]](**config["backbone"]))


def arguments_of(task):
    return {**all_arguments(task.backbone), "name": ""}


@pytest.mark.backend_free
@pytest.mark.parametrize("name", CAUSAL)
def test_a_config_comes_back_as_it_was(name):
    """And is written for the model_type that it was read from."""
    cls = getattr(transformers, CAUSAL[name].cls).config_class
    theirs = json.loads(cls(**CAUSAL[name].config).to_json_string(use_diff=False))
    task = task_of(theirs)
    family, written = family_of(task)
    assert family.name == written["model_type"] == theirs["model_type"]
    assert arguments_of(task_of(written)) == arguments_of(task)
    opened = json.loads(cls(**written).to_json_string(use_diff=False))
    for key in ("layer_types", "no_rope_layers", "sliding_window", "head_dim"):
        assert theirs.get(key) in (None, opened.get(key)), key


@pytest.mark.backend_free
def test_the_rope_of_older_versions_is_read():
    for scaling in (
        {"rope_scaling": {"type": "linear", "factor": 2.0}, "rope_theta": 500.0},
        {"rope_scaling": {"rope_type": "linear", "factor": 2.0}, "rope_theta": 500.0},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}},
    ):
        arguments = arguments_of(task_of({**LLAMA, **scaling}))
        assert arguments["rotary_base"] == 500.0
        assert arguments["rotary_scaling"] == {"kind": "linear", "factor": 2.0}
    neox = {**LLAMA, "model_type": "gpt_neox", "rotary_pct": 0.5, "rotary_emb_base": 500}
    arguments = arguments_of(task_of(neox))
    assert (arguments["rotary_dim"], arguments["rotary_base"]) == (6, 500)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rope_scaling": {"type": "longrope"}}, "rope_type must be one of default, linear, .*got"),
        ({"rope_scaling": {"type": "linear"}}, "rotary_scaling must be an object"),
        ({"rope_scaling": "linear"}, "rope_scaling must be an object of numbers; got 'linear'"),
        ({"rope_parameters": {"full_attention": {}}}, "rope_parameters must be an object of num"),
        ({"rope_theta": "1e4"}, "rotary_base must be a number"),
        ({"rope_theta": float("nan")}, "rotary_base must be a number"),
        ({"num_key_value_heads": 3}, "num_heads must be a multiple of num_kv_heads"),
        ({"head_dim": 7}, "head_dim must be even"),
        ({"hidden_act": "softplus"}, "hidden_act must be one of"),
        ({"attention_bias": "qkv"}, "attention_bias must be one of False, True"),
        (
            {"model_type": "qwen2", "use_sliding_window": True, "layer_types": ["chunked"]},
            "layer_types must be a list of 'sliding_attention', 'full_attention'",
        ),
        ({"model_type": "smollm3", "no_rope_layer_interval": 0}, "interval must be above 0; got 0"),
        ({"model_type": "gpt_neox", "rotary_pct": 2}, "rotary_pct must be over 0 and up to 1"),
        ({"model_type": "gpt_neox", "hidden_size": 0}, "hidden_size and num_attention_heads must"),
    ],
)
def test_a_config_that_ours_cannot_follow_is_refused_by_its_key(changes, message):
    with pytest.raises(ValueError, match=message):
        task_of({**LLAMA, **changes})


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"rotary_scaling": {"kind": "dynamic", "factor": 2.0, "original_length": 4}},
            "a dynamic scaling begins at max_length there, 8, and here at 4",
        ),
        ({"qk_norm": True, "mlp_bias": True}, "qwen3: its mlp_bias must be False; got True"),
        ({"attention_bias": "qkv", "mlp_bias": True}, "llama: its attention_bias .* got 'qkv'"),
    ],
)
def test_what_no_class_of_theirs_can_say_is_refused_with_the_reasons(arguments, message):
    sizes = {"vocab_size": 20, "num_layers": 2, "num_heads": 2, "hidden_dim": 8, "max_length": 8}
    with pytest.raises(ValueError, match=message):
        family_of(zoo.CausalLM(zoo.models.Llama(**{**sizes, **arguments})))


@pytest.mark.slow_to_compile
def test_positions_beyond_those_of_training_are_theirs(tmp_path):
    """As a dynamic scaling stretches them, where the prompt is not longer than in training."""
    torch = pytest.importorskip("torch")
    case = CAUSAL["LlamaForCausalLM: dynamic"]
    theirs = make_theirs(case)
    with quiet():
        theirs.save_pretrained(tmp_path)
    ours = zoo.load(tmp_path, max_length=64, special_tokens=zoo.tokenizers.SpecialTokens())
    prompt = np.random.default_rng(0).integers(3, 131, 20).tolist()
    written = theirs.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=40, eos_token_id=None
    )
    assert ours.generate(prompt, max_new_tokens=40) == written[0].tolist()
