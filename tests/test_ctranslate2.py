"""Folders that zoo.save writes, converted and run by CTranslate2: the same ids, the same states."""

import keras
import numpy as np
import pytest

import zoo
from tests.models import tiny_backbone, tiny_gpt, with_weights, word_pieces

ctranslate2 = pytest.importorskip("ctranslate2")
pytest.importorskip("transformers")
pytest.importorskip("torch")

NEW_TOKENS = 12


def converted(model, folder):
    """The folder of what CTranslate2 makes of a task."""
    from ctranslate2.converters import TransformersConverter

    zoo.save(model, folder / "saved", format="transformers")
    return TransformersConverter(str(folder / "saved")).convert(str(folder / "converted"))


def tokens(model, ids):
    return [model.tokenizer.id_to_token(i) for i in ids]


DECODERS = {"gpt": tiny_gpt}


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_writes_the_same_ids(name, tmp_path):
    model = DECODERS[name]()
    prompt = model.tokenizer.encode("The sea was")
    engine = ctranslate2.Generator(converted(model, tmp_path), inter_threads=1, intra_threads=1)
    found = engine.generate_batch(
        [tokens(model, prompt)],
        max_length=NEW_TOKENS,
        sampling_topk=1,
        include_prompt_in_result=False,
    )
    expected = model.generate([prompt], NEW_TOKENS, "greedy", strip_prompt=True)
    assert found[0].sequences_ids == expected


def test_an_encoder_gives_the_same_states(tmp_path):
    backbone = with_weights(tiny_backbone())
    model = zoo.TextEmbedder(backbone, word_pieces())
    engine = ctranslate2.Encoder(converted(model, tmp_path), inter_threads=1, intra_threads=1)
    ids = model.row_format.encode(["the sea was grey"]).inputs["token_ids"]
    found = engine.forward_batch([ids[0].tolist()]).last_hidden_state
    expected = keras.ops.convert_to_numpy(backbone(np.stack(ids)))
    np.testing.assert_allclose(np.array(found), expected, atol=1e-4)
