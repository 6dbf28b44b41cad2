"""The preset `lstm-small`: the LSTM that the ladder trains on books.

python -m zoo.training.recipes.ladder --corpora books --models lstm
python -m zoo.training.recipes.lstm_small
"""

import argparse
from pathlib import Path

from zoo.training.publishing import publish
from zoo.training.recipes.gpt_small import SOURCE, held_out_texts

import zoo


def main():
    """Measure the ladder's model on the held-out documents and write the preset folder."""
    parser = argparse.ArgumentParser(description="Make the preset lstm-small.")
    parser.add_argument("--trained", type=Path, default=Path("runs/ladder/books/lstm"))
    parser.add_argument("--preset", type=Path, default=Path("presets/lstm-small"))
    args = parser.parse_args()
    # Users' texts are documents of their own, not one stream.
    model = zoo.load(args.trained, stateful=False, sequence_length=None)
    publish(model, args.preset, held_out_texts(), None, SOURCE)


if __name__ == "__main__":
    main()
