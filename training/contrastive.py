"""Sentence vectors from texts without labels, or from the labels of single texts.

    model = zoo.load("bert-small", task="embedding", dropout=0.1)
    model.fit(twins(model, texts), batch_size=64)                # SimCSE, unsupervised
    model.fit(triplets_of_labels(texts, labels), batch_size=64)  # ... and supervised
    print(uniformity(model.encode(texts)))

`zoo.TextEmbedder` learns pairs and triplets with the other texts of a batch as negatives.
"""

import numpy as np


def twins(model, texts):
    """Each text beside itself: two readings under dropout that must find each other.

    Gao et al., 2021 (SimCSE), section 3, https://arxiv.org/abs/2104.08821. A text that occurs twice
    is taken once: in a batch it would be its own negative. Their temperature of 0.05 is the
    embedder's `scale` of 20.

    Args:
        model: a `zoo.TextEmbedder`.
        texts: an iterable of strings.

    Returns:
        A list of pairs, which `model.fit` takes.

    Raises:
        ValueError: a model without dropout, to which a text and its twin are one; fewer than two
            different texts.
    """
    rates = model.backbone.get_config()
    if not any(rates.get(name) for name in ("dropout", "attention_dropout")):
        raise ValueError(
            "Twins differ by dropout alone, and this model has none: load it with dropout=0.1."
        )
    texts = list(dict.fromkeys(text for text in texts if text.strip()))
    if len(texts) < 2:
        raise ValueError(f"Twins need other texts as negatives; got {len(texts)} different ones.")
    return [(text, text) for text in texts]


def triplets_of_labels(texts, labels, count=1, seed=0):
    """`(text, one of its label, one of another label)`, drawn anew for another seed.

    Args:
        texts, labels: lists of one length; a label is any value that can be a key of a dict.
        count: int, triplets for each text.
        seed: int.

    Returns:
        A list of triplets, which `zoo.TextEmbedder.fit` takes. Texts whose label no other text has
        are first of none.

    Raises:
        ValueError: lists of different lengths; no label that two texts have; a single label.
    """
    texts, labels = list(texts), list(labels)
    if len(texts) != len(labels):
        raise ValueError(f"Each text needs a label; got {len(texts)} texts, {len(labels)} labels.")
    places = {}
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    if len(places) < 2 or all(len(of_label) < 2 for of_label in places.values()):
        raise ValueError(
            "Triplets need two labels, one of them with two texts; got "
            f"{len(texts)} texts of {len(places)} labels."
        )
    rng = np.random.default_rng(seed)
    others = {
        label: [place for place in range(len(texts)) if labels[place] != label] for label in places
    }
    triplets = []
    for place, label in enumerate(labels):
        same = [other for other in places[label] if other != place]
        for _ in range(count if same else 0):
            near, far = same[rng.integers(len(same))], rng.integers(len(others[label]))
            triplets.append((texts[place], texts[near], texts[others[label][far]]))
    return triplets


def alignment(vectors, others):
    """The mean squared distance of partners' vectors; 0 is best.

    Wang and Isola, 2020, https://arxiv.org/abs/2005.10242.

    Args:
        vectors, others: `(count, dim)`, of length 1, such as `TextEmbedder.encode` gives.
    """
    return float(np.mean(np.sum(np.square(vectors - others), axis=-1)))


def uniformity(vectors):
    """`log mean exp(-2 d^2)` over the distances of all pairs; the lower, the more evenly spread.

    Wang and Isola, 2020, https://arxiv.org/abs/2005.10242. All in one place is 0.

    Args:
        vectors: `(count, dim)`, of length 1, at least two.
    """
    vectors = np.asarray(vectors, "float64")
    if len(vectors) < 2:
        raise ValueError(f"uniformity compares vectors, so there must be two; got {len(vectors)}.")
    first, second = np.triu_indices(len(vectors), 1)
    squares = 2 - 2 * (vectors @ vectors.T)[first, second]
    return float(np.log(np.mean(np.exp(-2 * squares))))
