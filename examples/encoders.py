"""Everything that a pretrained encoder is used for, each on a handful of examples.

    KERAS_BACKEND=torch python examples/encoders.py

So few examples teach little: this shows how, not how well. The recipes in training/recipes measure
themselves on real data.
"""

import keras
import numpy as np

import zoo

PRESET = "bert-small"
DOCUMENTS = [
    "The ship left at dawn. The sea was calm. Nobody on board spoke a word.",
    "The court met in May. It heard both sides. The judge was slow to decide.",
]
REVIEWS = ["A joy from start to end.", "Dull and far too long.", "Great fun!", "A waste of time."]
VERDICTS = ["pos", "neg", "pos", "neg"]
SENTENCES = [["The", "ship", "left"], ["A", "judge", "spoke"]]
TAGS = [["DET", "NOUN", "VERB"], ["DET", "NOUN", "VERB"]]
CONTEXT = "The ship left the harbour of Bristol at dawn and reached Cork two days later."
QUESTIONS = [
    zoo.tasks.QAExample("1", "When did the ship leave?", CONTEXT, (("dawn", 40),)),
    zoo.tasks.QAExample("2", "Who owned the ship?", CONTEXT, ()),
]


def fill_in():
    model = zoo.load(PRESET)
    print("behind the mask:", model.fill("The captain of the [MASK] gave the order.", top_k=5))


def pretrain():
    model = zoo.load(PRESET, task="pretraining", sequence_length=32)
    print("pretraining:", last_of(model.fit(DOCUMENTS, verbose=0)))


def classify():
    model = zoo.load(PRESET, task="text_classification", labels=["neg", "pos"])
    held_out = (["What a joy.", "Too long."], ["pos", "neg"])
    stop = keras.callbacks.EarlyStopping("val_loss", restore_best_weights=True)
    model.fit(REVIEWS, VERDICTS, epochs=2, validation_data=held_out, callbacks=[stop], verbose=0)
    print("a text:", model.predict_labels(["A joy from start to end."]))
    model.fit(list(zip(DOCUMENTS, REVIEWS[:2], strict=True)), VERDICTS[:2], verbose=0)
    print("a pair of texts:", model.predict_labels([(DOCUMENTS[0], REVIEWS[0])]))


def tag():
    model = zoo.load(PRESET, task="token_classification", labels=["DET", "NOUN", "VERB"])
    model.fit(SENTENCES, TAGS, verbose=0)
    print("tags:", model.tag("The ship left."))


def answer():
    model = zoo.load(PRESET, task="question_answering", freeze="backbone")
    model.fit(QUESTIONS, verbose=0)
    print("answer:", model.answer("When did the ship leave?", CONTEXT))


def embed():
    model = zoo.load(PRESET, task="embedding")
    vectors = model.encode(REVIEWS)
    print("embeddings:", vectors.shape, "of length", np.linalg.norm(vectors, axis=1).round(3))
    print("similarity:", model.similarity(REVIEWS[0], REVIEWS[2]))


def last_of(history):
    """The last value of everything that was measured."""
    return {name: round(float(values[-1]), 3) for name, values in history.history.items()}


if __name__ == "__main__":
    for show in (fill_in, pretrain, classify, tag, answer, embed):
        show()
