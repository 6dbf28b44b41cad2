"""Sequence-level distillation: a translator's own translations as the targets of another."""

from zoo.generation import Beam
from zoo.tasks import Seq2SeqLM


def sequence_targets(teacher, sources, sampler=None, batch_size=32, verbose=0, **options):
    """`(source, target)` pairs in which a teacher wrote the targets.

    Kim and Rush, 2016, https://arxiv.org/abs/1606.07947: what a beam finds is easier to learn than
    what people wrote, which is of many kinds. The student may have another vocabulary, and
    `student.fit(sequence_targets(teacher, sources))` is the whole of it.

    Args:
        teacher: a `zoo.Seq2SeqLM`.
        sources: a list of strings.
        sampler: None for `Beam(5)`, as in the paper; see `Seq2SeqLM.generate`.
        batch_size, verbose, options: those of `Seq2SeqLM.generate`.

    Returns:
        A list of pairs, without those in which the teacher wrote nothing.

    Raises:
        TypeError: the teacher is no `Seq2SeqLM`.
    """
    if not isinstance(teacher, Seq2SeqLM):
        raise TypeError(
            "Sequence-level distillation needs a teacher that writes a text from another, a "
            f"zoo.Seq2SeqLM; got {type(teacher).__name__}."
        )
    sources = list(sources)
    targets = teacher.generate(
        sources,
        sampler=Beam(5) if sampler is None else sampler,
        batch_size=batch_size,
        verbose=verbose,
        **options,
    )
    return [pair for pair in zip(sources, targets, strict=True) if pair[1].strip()]
