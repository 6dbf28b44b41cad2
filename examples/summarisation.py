"""Learn to summarise from (document, summary) pairs, and measure it with ROUGE.

    KERAS_BACKEND=torch python examples/summarisation.py               # town news to weather lines
    KERAS_BACKEND=torch python examples/summarisation.py mine.jsonl    # your own pairs

The file has an object with "document" and "summary" in each line. The one that comes with this
example was put together by rule from a few dozen sentences, so that a small model learns it from
random weights in minutes; real documents want a larger model and many more pairs.
"""

import argparse
from pathlib import Path

import keras
from zoo.training import metrics, parallel
from zoo.training.text_metric import TextMetric

import zoo

NEWS = Path(__file__).parent / "data" / "weather.jsonl"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", default=NEWS)
    parser.add_argument("--epochs", type=int, default=12)
    args = parser.parse_args()
    keras.utils.set_random_seed(0)

    pairs = parallel.read_pairs(args.file)
    num_held_out = max(1, len(pairs) // 6)
    train, held_out = pairs[num_held_out:], pairs[:num_held_out]
    texts = [text for pair in train for text in pair]
    tokenizer = zoo.tokenizers.BytePairTokenizer.train(texts, vocab_size=1000)
    backbone = zoo.models.Transformer(
        tokenizer.vocab_size, num_layers=2, num_heads=4, hidden_dim=128, pre_norm=True
    )
    model = zoo.Seq2SeqLM(backbone, tokenizer, target_length=48)
    model.compile(keras.optimizers.Adam(2e-3, global_clipnorm=1.0))

    documents, summaries = map(list, zip(*held_out, strict=True))
    rouge = TextMetric("val", metrics.rouge, documents, summaries, every=max(1, args.epochs // 4))
    model.fit(
        train,
        batch_size=16,
        epochs=args.epochs,
        validation_data=held_out,
        callbacks=[rouge],
        verbose=2,
    )
    print("\n" + documents[0])
    print("is summarised as:", model.generate(documents[0], sampler=zoo.generation.Beam(4)))
    print("and by its author:", summaries[0])
    scores = metrics.rouge(summaries, model.generate(documents))
    print(", ".join(f"{name} {value:.1f}" for name, value in scores.items()))


if __name__ == "__main__":
    main()
