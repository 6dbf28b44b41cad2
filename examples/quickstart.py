"""The whole journey: load, measure, fine-tune, generate, export, serve.

    KERAS_BACKEND=jax python examples/quickstart.py

Needs `keras-zoo[tensorflow]` beside the backend, for the export.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

import zoo

HERE = Path(__file__).parent
PROMPT = "Alice looked at the"


def read(name):
    """A text as a list of one document."""
    return [(HERE / "data" / name).read_text(encoding="utf-8")]


def perplexity(model, texts):
    return model.evaluate(texts, batch_size=4, verbose=0, return_dict=True)["perplexity"]


def main():
    book = read("alice_chapters_1_to_10.txt")
    held_out = read("alice_chapters_11_and_12.txt")

    model = zoo.load("gpt-small")
    print(f"gpt-small, {model.count_params():,} parameters, on {keras.backend.backend()}")
    before = perplexity(model, held_out)
    print(f"perplexity on the last two chapters of Alice: {before:.1f}")

    model.compile(optimizer=keras.optimizers.AdamW(1e-3, weight_decay=0.1, global_clipnorm=1.0))
    model.fit(book, batch_size=4, epochs=2)
    print(
        f"after two readings of the first ten: {perplexity(model, held_out):.1f} (was {before:.1f})"
    )

    sampler = zoo.generation.TopP(p=0.9, temperature=0.8)
    print(model.generate(PROMPT, max_new_tokens=60, sampler=sampler, seed=1))

    with tempfile.TemporaryDirectory() as folder:
        zoo.export(model, f"{folder}/served")
        # A process of its own, which imports tensorflow and nothing else of this.
        command = [sys.executable, HERE / "serve.py", f"{folder}/served", PROMPT]
        served = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    compare(model, served)


def compare(model, served):
    """Stop unless the exported model says what the model says."""
    ids = model.tokenizer.encode(PROMPT)
    logits = model.predict(np.array([ids]), verbose=0)
    nats, _ = model.score([PROMPT])
    text = model.generate(PROMPT, max_new_tokens=30, sampler="greedy")
    difference = float(np.abs(logits - np.array(served["logits"])).max())
    print(f"served from a SavedModel: {served['text']!r}")
    print(f"ids equal: {served['ids'] == ids}")
    print(f"largest difference of a logit: {difference:.1e}")
    print(f"nats of the prompt: {nats[0]:.4f}, served {served['nats']:.4f}")
    print(f"greedy text equal: {served['text'] == text}")
    if served["ids"] != ids or served["text"] != text or difference > 1e-4:
        sys.exit("The exported model differs.")


if __name__ == "__main__":
    main()
