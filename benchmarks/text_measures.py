"""The measurements of encoders on texts: functions of a `benchmarks.measures.Task`.

Each checks first that the library does the same work as the others.
"""

import numpy as np

from benchmarks import inputs
from benchmarks.checks import check_finite, check_first_loss
from benchmarks.timing import seconds_of, steady_seconds


def finetune(task):
    """Epochs of a text classifier, from strings."""
    work = task.workload
    texts, labels = inputs.passages(work.texts), inputs.labels(task.sizes, work.texts)
    model = task.library.build_classifier(task.sizes)
    _check_token_counts(model.count_tokens(texts), texts, task.sizes)
    rows = work.texts_per_batch
    first_loss = model.fit(texts[:rows], labels[:rows], rows)
    check_first_loss(first_loss, task.sizes.num_labels, tolerance=0.3)
    losses = []

    def fit():
        losses.append(model.fit(texts, labels, rows))

    first = seconds_of(fit)
    seconds = steady_seconds(fit, work)
    check_finite(losses)
    return {"texts_per_second": len(texts) / seconds, "first_call_seconds": first}


def embed(task):
    """Vectors of texts, from strings."""
    texts = inputs.passages(task.workload.texts)
    model = task.library.build_embedder(task.sizes)
    vectors = []
    first = seconds_of(lambda: vectors.append(model.encode(texts)))
    _check_vectors(vectors[0], len(texts), task.sizes)
    seconds = steady_seconds(lambda: model.encode(texts), task.workload)
    return {"texts_per_second": len(texts) / seconds, "first_call_seconds": first}


def _check_token_counts(counts, texts, sizes):
    """All must read the same tokens; the judge is the `tokenizers` library itself."""
    # Here, as the processes that measure loading import this file.
    import tokenizers

    ids = {piece: i for i, piece in enumerate(inputs.word_pieces(sizes.vocab_size))}
    judge = tokenizers.BertWordPieceTokenizer(ids, lowercase=True)
    judge.enable_truncation(sizes.context)
    expected = [len(encoding) for encoding in judge.encode_batch(texts)]
    if list(counts) != expected:
        raise ValueError(f"{sum(expected)} tokens were to be read; got {sum(counts)}.")


def _check_vectors(vectors, count, sizes):
    shape = (count, sizes.hidden_dim)
    if vectors.shape != shape:
        raise ValueError(f"Vectors of shape {shape} were asked for; got {vectors.shape}.")
    norms = np.linalg.norm(vectors, axis=-1)
    if not np.allclose(norms, 1, atol=1e-4):
        raise ValueError(f"Vectors must have length 1; got {norms.min()} to {norms.max()}.")
