"""Fine-tune on sentiment: sentences of English film reviews, or Chinese reviews from scratch.

python -m zoo.training.recipes.sentiment --model all-minilm-l6-v2 --rate 1e-4
python -m zoo.training.recipes.sentiment --model bert-small --rate 2e-4
python -m zoo.training.recipes.sentiment --model bert-small --rate 2e-4 --untrained
python -m zoo.training.recipes.sentiment --model tf-idf
python -m zoo.training.recipes.sentiment --data chinese_reviews --model scratch --rate 5e-4
"""

import argparse

from zoo.training import labelled, pretrained
from zoo.training.finetuning import over_seeds, summary, usual_optimizer
from zoo.training.metrics import classification_scores

import zoo
from zoo.models import BERT
from zoo.tokenizers import WordPieceTokenizer

LABELS = ["neg", "pos"]
SCRATCH = {"num_layers": 4, "num_heads": 4, "hidden_dim": 256, "max_length": 256}


def make_model(args, texts):
    """A classifier on the chosen encoder."""
    dropout = {} if args.dropout is None else {"dropout": args.dropout}
    if args.model == "scratch":
        # BERT's pre-tokeniser sets Chinese characters apart: each is a token.
        tokenizer = WordPieceTokenizer.train(texts, vocab_size=6000, alphabet_size=5000)
        sizes = {"vocab_size": tokenizer.vocab_size, **SCRATCH, **dropout}
        backbone = BERT(**sizes, dtype=args.dtype)
        return zoo.TextClassifier(backbone, tokenizer, LABELS, pooling="mean")
    known = args.model in pretrained.CHECKPOINTS
    name = pretrained.fetch(args.model) if known else args.model
    options = {"labels": LABELS, "pooling": args.pooling, "dtype": args.dtype, **dropout}
    return zoo.load(name, task="text_classification", weights=not args.untrained, **options)


def run(args, parts):
    """Fine-tune once; scores on the test part."""
    texts, labels = parts["train"]
    model = make_model(args, texts)
    model.compile(usual_optimizer(args.rate, len(texts), args.batch_size, args.epochs))
    model.fit(
        texts,
        labels,
        batch_size=args.batch_size,
        epochs=args.epochs,
        validation_data=parts["valid"],
        verbose=2,
    )
    texts, labels = parts["test"]
    predicted = [result["label"] for result in model.predict_labels(texts)]
    return classification_scores(labels, predicted, LABELS)


def run_baseline(args, parts):
    """Logistic regression on TF-IDF of words, or of Chinese characters, and of their pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    analyzer = "char" if args.data == "chinese_reviews" else "word"
    model = make_pipeline(
        TfidfVectorizer(analyzer=analyzer, ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    model.fit(*parts["train"])
    texts, labels = parts["test"]
    return classification_scores(labels, model.predict(texts).tolist(), LABELS)


def main():
    """Train with several seeds and print the scores on the test part."""
    parser = argparse.ArgumentParser(description="Fine-tune on sentiment.")
    parser.add_argument(
        "--data", default="movie_snippets", choices=["movie_snippets", "chinese_reviews"]
    )
    parser.add_argument(
        "--model", default="bert-small", help="a preset, a checkpoint, scratch, tf-idf"
    )
    parser.add_argument("--untrained", action="store_true", help="start from random weights")
    parser.add_argument("--pooling", default="mean", choices=["first", "mean"])
    parser.add_argument("--rate", type=float, default=5e-5, help="the highest learning rate")
    parser.add_argument("--dropout", type=float, help="that of the model, if left out")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--dtype", default="float32", help="mixed_bfloat16 to train faster")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    parts = labelled.load(args.data)
    print({part: len(texts) for part, (texts, _) in parts.items()})
    if args.model == "tf-idf":
        scores = [run_baseline(args, parts)]
    else:
        scores = over_seeds(lambda _: run(args, parts), args.seeds)
    print(f"accuracy {summary(scores, 'accuracy')}, macro F1 {summary(scores, 'macro_f1')}")


if __name__ == "__main__":
    main()
