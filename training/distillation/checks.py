"""What student, teacher and losses must be to each other."""

from zoo.training.distillation.losses import DistillationLoss, OwnLoss

from zoo.tasks.base import Task


def check_tasks(student, teacher):
    for task, role in ((student, "student"), (teacher, "teacher")):
        if not isinstance(task, Task):
            raise TypeError(
                f"The {role} must be a task such as zoo.TextClassifier; got {type(task).__name__}."
            )
    if student.backbone is teacher.backbone:
        raise ValueError("Student and teacher share a backbone: a model cannot teach itself.")
    if getattr(student, "stateful", False):
        raise ValueError("A stateful model cannot be a student: make it with stateful=False.")


def checked_losses(losses):
    """The losses as a list, each of a name of its own."""
    losses = [losses] if isinstance(losses, DistillationLoss) else list(losses)
    for one in losses:
        if not isinstance(one, DistillationLoss):
            raise TypeError(
                f"losses must be DistillationLoss objects, as hinton() gives; got {one!r}."
            )
    names = [one.name for one in losses]
    if not any(not isinstance(one, OwnLoss) for one in losses):
        raise ValueError("There must be a loss that the teacher has a part in; see hinton().")
    if len(set(names)) < len(names):
        raise ValueError(f"Each loss needs a name of its own; got {', '.join(names)}. Pass name=.")
    return losses


def have_same_tokens(student, teacher):
    """Whether both tasks mean the same by a token id."""
    if student.tokenizer is not None and teacher.tokenizer is not None:
        return student.tokenizer == teacher.tokenizer
    sizes = student.backbone.vocab_size, teacher.backbone.vocab_size
    if sizes[0] != sizes[1]:
        raise ValueError(
            "Without a tokenizer in both, student and teacher must have one vocabulary; the "
            f"student has {sizes[0]} tokens, the teacher {sizes[1]}."
        )
    return True
