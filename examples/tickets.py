"""A support desk: tickets of a CSV, read by pandas, to a classifier that is served.

    KERAS_BACKEND=torch python examples/tickets.py                              # 600 made-up ones
    KERAS_BACKEND=torch python examples/tickets.py mine.csv --text body --label queue

Needs pandas, and to be served `keras-zoo[tensorflow]` beside the backend. The tickets that come
with this example were put together by rule; a few have no text, as in any such table.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import keras
import pandas as pd
from zoo.training.metrics import classification_report

import zoo

HERE = Path(__file__).parent
STRANGE = ["", "   ", "???", "The parcel has not arrived. " * 200]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("table", nargs="?", default=HERE / "data" / "tickets.csv")
    parser.add_argument("--text", default="body")
    parser.add_argument("--label", default="queue")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("runs/tickets"))
    args = parser.parse_args()
    keras.utils.set_random_seed(0)

    tickets = pd.read_csv(args.table).sample(frac=1, random_state=0)
    train, test = tickets[len(tickets) // 4 :], tickets[: len(tickets) // 4]
    print(f"{len(train)} tickets to train on, {train[args.text].isna().sum()} without a text")

    labels = tickets[args.label].unique()
    model = zoo.load("bert-small", task="text_classification", labels=labels)
    model.fit(
        train[args.text],
        train[args.label],
        epochs=args.epochs,
        class_weight="balanced",
        validation_split=0.1,
    )
    predicted = model.predict_labels(test[args.text])
    print(classification_report(test[args.label], predicted))

    zoo.save(model, args.out / "model")
    zoo.export(model, args.out / "served")
    command = [sys.executable, HERE / "classify.py", args.out / "served", *STRANGE]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
