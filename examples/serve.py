"""Use an exported model where only TensorFlow is installed.

python examples/serve.py served "Alice looked at the"
"""

import json
import sys

import tensorflow as tf


def main(folder, prompt):
    model = tf.saved_model.load(folder).signatures
    text = tf.constant([prompt])
    tokens = model["tokenize"](text=text)
    score = model["score"](text=text)
    generated = model["generate"](
        text=text,
        max_new_tokens=tf.constant(30),
        temperature=tf.constant(0.0),
        top_p=tf.constant(1.0),
        seed=tf.constant(0),
        truncate=tf.constant(False),
    )
    answer = {
        "ids": tokens["token_ids"][0].numpy().tolist(),
        "logits": model["serving_default"](**tokens)["logits"].numpy().tolist(),
        "nats": float(score["nats"][0]),
        "text": generated["text"][0].numpy().decode(),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
