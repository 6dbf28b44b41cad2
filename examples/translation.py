"""Translate with the encoder-decoder that comes along, score it, and teach it sentences of yours.

KERAS_BACKEND=torch python examples/translation.py
"""

import keras
from zoo.training import metrics

import zoo

PAIRS = [
    ("The cat is sleeping on the chair.", "Le chat dort sur la chaise."),
    ("We have run out of milk.", "Nous n'avons plus de lait."),
    ("Where did you put my keys?", "Où avez-vous mis mes clés ?"),
    ("I have never been to Paris.", "Je ne suis jamais allé à Paris."),
]


def translate(model):
    english = "I have run out of patience."
    print("greedily:", model.generate(english))
    for text in model.generate(english, sampler=zoo.generation.Beam(5), num_return=3):
        print("of a beam:", text)


def score(model):
    english, french = map(list, zip(*PAIRS, strict=True))
    written = model.generate(english, sampler=zoo.generation.Beam(5))
    for source, text in zip(english, written, strict=True):
        print(f"{source} -> {text}")
    print(f"BLEU {metrics.bleu(french, written)['bleu']:.1f},", end=" ")
    print(f"chrF {metrics.chrf(french, written)['chrf']:.1f},", end=" ")
    print(f"perplexity {model.evaluate(PAIRS, verbose=0, return_dict=True)['perplexity']:.2f}")


def fine_tune(model):
    model.compile(keras.optimizers.Adam(3e-4))
    model.fit(PAIRS, epochs=10, verbose=0)


def main():
    model = zoo.load("transformer-small-en-fr")
    translate(model)
    score(model)
    fine_tune(model)
    print("after ten readings:")
    score(model)


if __name__ == "__main__":
    main()
