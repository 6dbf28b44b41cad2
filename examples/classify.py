"""Classify texts with an exported model, in a process that has nothing but TensorFlow.

python examples/classify.py served "Hello, my parcel has not arrived."
"""

import json
import sys

import tensorflow as tf


def main():
    folder, *texts = sys.argv[1:]
    served = tf.saved_model.load(folder).signatures["classify"](text=tf.constant(texts))
    for text, label, probabilities in zip(
        texts, served["label"].numpy(), served["probabilities"].numpy(), strict=True
    ):
        answer = {"text": text[:40], "label": label.decode(), "surety": float(probabilities.max())}
        print(json.dumps(answer))


if __name__ == "__main__":
    main()
