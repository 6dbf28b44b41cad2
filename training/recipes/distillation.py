"""What a student gains from a teacher on film reviews: labels alone beside each method.

python -m zoo.training.recipes.distillation --method labels
python -m zoo.training.recipes.distillation --method hinton
python -m zoo.training.recipes.distillation --method patient
python -m zoo.training.recipes.distillation --method tinybert
python -m zoo.training.recipes.distillation --method minilm
python -m zoo.training.recipes.distillation --method hinton --start random --augment easy

The teacher is all-MiniLM-L6-v2, fine-tuned once and kept in the output folder; the student has
every other of its layers, copied or drawn at random. Methods without labels have as many epochs
before those with labels, and so have the labels alone. Scores are those of the validation part
unless `--part test` says otherwise: choose nothing by that.
"""

import argparse
from pathlib import Path

from zoo.training import labelled, pretrained
from zoo.training.augmentation import Augmented, EasyChanges
from zoo.training.distillation import (
    Distiller,
    copy_layers,
    hinton,
    minilm,
    patient,
    tinybert,
)
from zoo.training.finetuning import over_seeds, summary, usual_optimizer
from zoo.training.metrics import classification_scores

import zoo
from zoo.models import BERT

TEACHER = "all-minilm-l6-v2"
LABELS = ["neg", "pos"]
# What is learnt first, without labels, and then; None is the labels alone.
METHODS = {
    "labels": (None, None),
    "hinton": (None, hinton),
    "patient": (None, lambda: patient(temperature=5.0, beta=10.0)),
    "tinybert": (tinybert, lambda: hinton(temperature=1.0, hard=0.0)),
    "minilm": (minilm, None),
}


def make_teacher(args, parts):
    """The fine-tuned teacher, from the output folder where it is there."""
    folder = args.output / "teacher"
    if folder.is_dir():
        return zoo.load(folder)
    name = pretrained.fetch(TEACHER)
    teacher = zoo.load(name, task="text_classification", labels=LABELS, pooling="mean")
    fit(teacher, parts, args, args.teacher_rate)
    zoo.save(teacher, folder)
    print("teacher", scores(teacher, parts[args.part]))
    return teacher


def make_student(args, teacher):
    """A classifier with so many of its teacher's layers."""
    arguments = teacher.backbone.get_config() | {"num_layers": args.layers}
    backbone = BERT(**{name: value for name, value in arguments.items() if name != "name"})
    student = zoo.TextClassifier(backbone, teacher.tokenizer, LABELS, pooling="mean")
    if args.start == "copied":
        copy_layers(teacher, student)
    return student


def fit(model, parts, args, rate, with_labels=True):
    """Train a task or a distiller with the recipes' schedule."""
    texts, labels = parts["train"]
    optimizer = usual_optimizer(rate, len(texts), args.batch_size, args.epochs)
    model.compile(optimizer)
    labels = labels if with_labels else None
    if args.augment == "easy" and with_labels:
        task = getattr(model, "student", model)
        texts = Augmented(task, texts, labels, EasyChanges(), batch_size=args.batch_size)
        model.fit(texts, epochs=args.epochs, verbose=2)
        return
    model.fit(texts, labels, batch_size=args.batch_size, epochs=args.epochs, verbose=2)


def run(args, parts, teacher):
    """Train a student once; its scores."""
    student = make_student(args, teacher)
    first, second = METHODS[args.method]
    if first is not None:
        fit(Distiller(student, teacher, first()), parts, args, args.rate, with_labels=False)
    elif args.method == "labels":
        fit(student, parts, args, args.rate)  # as many epochs as the longest of the others
    fit(
        student if second is None else Distiller(student, teacher, second()), parts, args, args.rate
    )
    return scores(student, parts[args.part])


def scores(model, part):
    texts, labels = part
    predicted = [result["label"] for result in model.predict_labels(texts)]
    return classification_scores(labels, predicted, LABELS)


def main():
    """Train with several seeds and print the scores."""
    parser = argparse.ArgumentParser(description="Distil a classifier of film reviews.")
    parser.add_argument("--method", choices=METHODS, default="hinton")
    parser.add_argument("--start", choices=["copied", "random"], default="copied")
    parser.add_argument("--augment", choices=["none", "easy"], default="none")
    parser.add_argument("--layers", type=int, default=3, help="of the student")
    parser.add_argument("--rate", type=float, default=2e-4, help="the student's highest rate")
    parser.add_argument("--teacher-rate", type=float, default=1e-4)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--num-texts", type=int, help="to train on; None for all")
    parser.add_argument("--part", choices=["valid", "test"], default="valid")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("runs/distillation"))
    args = parser.parse_args()
    parts = labelled.load("movie_snippets")
    teacher = make_teacher(args, parts)
    if args.num_texts is not None:
        parts["train"] = tuple(column[: args.num_texts] for column in parts["train"])
    found = over_seeds(lambda _: run(args, parts, teacher), args.seeds)
    print(f"{args.method}: accuracy {summary(found, 'accuracy')}")


if __name__ == "__main__":
    main()
