"""Decoders that zoo.save writes, converted and run by CTranslate2: the same greedy ids."""

import pytest

import zoo
from tests import models
from zoo.tokenizers import BytePairTokenizer

ctranslate2 = pytest.importorskip("ctranslate2")
pytest.importorskip("transformers")
pytest.importorskip("torch")

NEW_TOKENS = 12
LLAMA3 = {"kind": "llama3", "factor": 8.0, "low": 1.0, "high": 4.0, "original_length": 8192}
SIZES = {
    "vocab_size": 300,
    "num_layers": 2,
    "num_heads": 4,
    "num_kv_heads": 2,
    "hidden_dim": 16,
    "max_length": 64,
}
BACKBONES = {
    "llama": {"tied": False, "rotary_scaling": LLAMA3, "rotary_base": 5e5},
    "mistral": {"sliding_window": 6},
    "qwen2": {"attention_bias": "qkv"},
    "qwen3": {"head_dim": 6, "qk_norm": True},
}


ROWS = [
    pytest.param(name, marks=[] if name == "llama" else [pytest.mark.exhaustive])
    for name in BACKBONES
]


@pytest.mark.slow_to_compile
@pytest.mark.parametrize("name", ROWS)
def test_ctranslate2_writes_the_same_ids(name, tmp_path):
    from ctranslate2.converters import TransformersConverter

    tokenizer = BytePairTokenizer.train(models.TEXTS, 300, ("<|endoftext|>", "<unk>"))
    backbone = zoo.models.Llama(**SIZES, **BACKBONES[name])
    model = zoo.CausalLM(models.with_weights(backbone), tokenizer)
    zoo.save(model, tmp_path / "saved", format="transformers")
    converter = TransformersConverter(str(tmp_path / "saved"))
    folder = converter.convert(str(tmp_path / "converted"))
    engine = ctranslate2.Generator(folder, inter_threads=1, intra_threads=1)
    prompt = tokenizer.encode("The sea was calm")
    found = engine.generate_batch(
        [[tokenizer.id_to_token(i) for i in prompt]],
        max_length=NEW_TOKENS,
        sampling_topk=1,
        include_prompt_in_result=False,
    )
    assert found[0].sequences_ids[0] == model.generate(prompt, NEW_TOKENS, strip_prompt=True)
