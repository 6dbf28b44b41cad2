"""Backends agree: each is held to numbers that one of them wrote down.

KERAS_BACKEND=jax python -m tests.test_backends     # writes the golden file anew
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import random_ids, tiny_backbone, tiny_gpt, with_weights, word_pieces
from zoo.generation import Sampler

GOLDEN = Path(__file__).parent / "data" / "golden_gpt.json"
GOLDEN_BERT = Path(__file__).parent / "data" / "golden_bert.json"
PROMPTS = ("The sea", "", "Nobody spoke “")
TEXTS = ("The sea was calm. The sky was grey. Nobody spoke.", "It was late! Was it? It was.")
DOCUMENTS = [*TEXTS, *TEXTS]


def gpt(scale=0.3):
    return tiny_gpt(num_layers=2, scale=scale)


def logits():
    return ops.convert_to_numpy(gpt()(random_ids(2, 9)))


def losses():
    """The loss of each of 50 steps of `fit`."""
    model = gpt(scale=0.1)
    model.compile(optimizer=keras.optimizers.AdamW(3e-3, weight_decay=0.1, global_clipnorm=1.0))
    ids = random_ids(100, 33, seed=4) // 8  # a skewed vocabulary, so that there is much to learn
    history = model.fit(_batches(ids), steps_per_epoch=1, epochs=50, shuffle=False, verbose=0)
    return history.history["loss"]


def _batches(ids):
    for i in range(50):
        rows = ids[2 * i : 2 * i + 2]
        yield rows[:, :-1], rows[:, 1:]


def texts():
    model = gpt()
    return [
        model.generate(list(PROMPTS), max_new_tokens=24),
        model.generate(
            list(PROMPTS), max_new_tokens=24, sampler=Sampler(1.1, top_k=80, top_p=0.9), seed=3
        ),
    ]


def bert(scale=0.3):
    return with_weights(zoo.BertPretrainer(tiny_backbone(), word_pieces(), 24), scale)


def bert_outputs():
    ids = random_ids(2, 9) % word_pieces().vocab_size
    inputs = {"token_ids": ids, "segment_ids": ids % 2, "padding_mask": np.arange(9) < [[9], [6]]}
    outputs = bert()(inputs)
    return {name: ops.convert_to_numpy(output).tolist() for name, output in outputs.items()}


def bert_losses():
    """Both losses of 20 epochs of `fit`, of one step each."""
    keras.utils.set_random_seed(0)
    model = bert(scale=0.1)
    model.compile(optimizer=keras.optimizers.Adam(3e-3, epsilon=1e-4))
    history = model.fit(DOCUMENTS, batch_size=4, epochs=20, verbose=0).history
    return {name: history[name] for name in ("masked_lm_loss", "next_sentence_loss")}


def classifier_losses():
    """As many of a head that does not read the token embeddings."""
    model = zoo.TextClassifier(tiny_backbone(), word_pieces(), ["a", "b"], head_dropout=0.0)
    with_weights(model, 0.1).compile(optimizer=keras.optimizers.Adam(3e-3, epsilon=1e-4))
    labels = ["a", "b", "a", "b"]
    fit = {"batch_size": 4, "epochs": 20, "shuffle": False, "verbose": 0}
    return model.fit(DOCUMENTS, labels, **fit).history["loss"]


@pytest.fixture(scope="module")
def golden_bert():
    return json.loads(GOLDEN_BERT.read_text(encoding="utf-8"))


def test_outputs_of_bert_agree_to_1e_5(golden_bert):
    seen = bert_outputs()
    for name, expected in golden_bert["outputs"].items():
        np.testing.assert_allclose(seen[name], expected, rtol=1e-5, atol=1e-5)


def test_losses_of_bert_agree_to_1e_4(golden_bert):
    seen = bert_losses()
    for name, expected in golden_bert["losses"].items():
        np.testing.assert_allclose(seen[name], expected, rtol=1e-4, err_msg=name)
    assert seen["masked_lm_loss"][-1] < 0.9 * seen["masked_lm_loss"][0]


def test_losses_of_a_classifier_agree_to_1e_4(golden_bert):
    np.testing.assert_allclose(classifier_losses(), golden_bert["classifier"], rtol=1e-4)


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_logits_agree_to_1e_5(golden):
    np.testing.assert_allclose(logits(), np.array(golden["logits"]), rtol=1e-5, atol=1e-5)


def test_losses_of_50_steps_agree_to_1e_4_and_with_themselves_to_the_bit(golden):
    seen = losses()
    np.testing.assert_allclose(seen, golden["losses"], rtol=1e-4)
    assert seen[-1] < 0.8 * seen[0]
    keras.utils.set_random_seed(0)
    assert losses() == seen


def test_greedy_and_seeded_text_are_the_same_everywhere(golden):
    assert texts() == golden["texts"]


if __name__ == "__main__":
    content = {"logits": logits().tolist(), "losses": losses(), "texts": texts()}
    GOLDEN.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    content = {
        "outputs": bert_outputs(),
        "losses": bert_losses(),
        "classifier": classifier_losses(),
    }
    GOLDEN_BERT.write_text(json.dumps(content), encoding="utf-8")
