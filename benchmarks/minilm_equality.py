"""Whether our embeddings of real texts are those of transformers, with MiniLM's weights.

    KERAS_BACKEND=torch python -m benchmarks.minilm_equality

Needs the network once: the weights and the texts are fetched into the cache of the corpora.
"""

import sys

import keras
import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer
from zoo.training import labelled, pretrained

import zoo

NUM_TEXTS = 500
BATCH = 25
TOLERANCE = 1e-5


def main():
    """Print the largest difference, and fail above the tolerance."""
    folder = pretrained.fetch("all-minilm-l6-v2")
    texts = labelled.load("movie_snippets")["train"][0][:NUM_TEXTS]
    ours = zoo.load(folder, task="embedding").encode(texts)
    difference = float(np.abs(ours - reference(folder, texts)).max())
    print(f"{keras.backend.backend()}: {ours.shape}, largest difference {difference:.2e}")
    sys.exit(difference > TOLERANCE)


def reference(folder, texts):
    """Transformers' hidden states, averaged over real tokens and divided by their length."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    batches = (texts[i : i + BATCH] for i in range(0, len(texts), BATCH))
    with torch.no_grad():
        return np.concatenate([_embed(model, tokenizer, batch).numpy() for batch in batches])


def _embed(model, tokenizer, texts):
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    mask = inputs["attention_mask"][..., None]
    pooled = (model(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
    return torch.nn.functional.normalize(pooled, dim=-1)


if __name__ == "__main__":
    main()
