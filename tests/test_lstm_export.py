"""SavedModels of LSTMs: what they answer is what the tasks answer."""

import keras
import numpy as np
import pytest

import zoo
from tests.models import tiny_lstm, with_weights, word_pieces

PROMPTS = ["The sea was calm", "", "It"]

only_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="the graphs are TensorFlow's on all backends"
)


@only_tensorflow
def test_prompts_of_different_lengths_go_on_as_in_the_task(tmp_path):
    import tensorflow as tf

    model = tiny_lstm(max_length=8)  # which bounds rows, not what is generated
    zoo.export(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served").signatures
    numbers = {"temperature": 0.0, "top_p": 1.0, "seed": 0, "max_new_tokens": 12}
    numbers["truncate"] = True  # nothing is too long
    numbers = {name: tf.constant(number) for name, number in numbers.items()}
    texts = served["generate"](text=tf.constant(PROMPTS), **numbers)["text"].numpy()
    assert [text.decode() for text in texts] == model.generate(PROMPTS, max_new_tokens=12)
    nats = served["score"](text=tf.constant(PROMPTS[2:]))["nats"].numpy()
    np.testing.assert_allclose(nats, model.score(PROMPTS[2:])[0], rtol=1e-5)


@only_tensorflow
def test_a_bidirectional_one_classifies(tmp_path):
    import tensorflow as tf

    size = {"vocab_size": word_pieces().vocab_size, "num_layers": 1, "hidden_dim": 16}
    backbone = zoo.models.LSTM(**size, bidirectional=True)
    model = with_weights(zoo.TextClassifier(backbone, word_pieces(), ["neg", "pos"]))
    zoo.export(model, tmp_path / "served")
    served = tf.saved_model.load(tmp_path / "served").signatures["classify"]
    seen = served(text=tf.constant(PROMPTS[:1]))["probabilities"].numpy()[0]
    expected = model.predict_labels(PROMPTS[:1])[0]["probabilities"]
    np.testing.assert_allclose(seen, list(expected.values()), rtol=1e-4)
