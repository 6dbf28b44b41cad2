"""Fine-tune on parts of speech: the Brown corpus with its base tags, split by document.

python -m zoo.training.recipes.pos_tagging --model all-minilm-l6-v2
python -m zoo.training.recipes.pos_tagging --model bert-small --rate 5e-4
"""

import argparse

from zoo.training import labelled, pretrained
from zoo.training.finetuning import over_seeds, summary, usual_optimizer

import zoo


def run(args, parts, labels):
    """Fine-tune once; the share of words of the test part that are tagged right."""
    known = args.model in pretrained.CHECKPOINTS
    name = pretrained.fetch(args.model) if known else args.model
    options = {"labels": labels, "weights": not args.untrained, "dtype": args.dtype}
    model = zoo.load(name, task="token_classification", **options)
    sentences, tags = parts["train"]
    model.compile(usual_optimizer(args.rate, len(sentences), args.batch_size, args.epochs))
    model.fit(sentences, tags, batch_size=args.batch_size, epochs=args.epochs, verbose=2)
    sentences, tags = parts["test"]
    predicted = model.predict_tags(sentences)
    pairs = [
        (one, other)
        for true, guessed in zip(tags, predicted, strict=True)
        for one, other in zip(true, guessed, strict=True)
    ]
    return {"accuracy": sum(one == other for one, other in pairs) / len(pairs)}


def main():
    """Train with several seeds and print the accuracy on the test part."""
    parser = argparse.ArgumentParser(description="Fine-tune on parts of speech.")
    parser.add_argument("--model", default="bert-small", help="a preset or a checkpoint")
    parser.add_argument("--untrained", action="store_true", help="start from random weights")
    parser.add_argument("--rate", type=float, default=2e-4, help="the highest learning rate")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--dtype", default="float32", help="mixed_bfloat16 to train faster")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    parts = labelled.load("brown_tags")
    labels = sorted({tag for _, tags in parts.values() for row in tags for tag in row})
    words = {part: sum(map(len, sentences)) for part, (sentences, _) in parts.items()}
    print(f"{len(labels)} tags; words: {words}")
    scores = over_seeds(lambda _: run(args, parts, labels), args.seeds)
    print(f"accuracy {summary(scores, 'accuracy')}")


if __name__ == "__main__":
    main()
