"""What is checked of a model beside its speed: that it does the same work as the others."""

import math

import numpy as np

SIZE_TOLERANCE = 0.02  # BART has two more norms, PyTorch's LSTM a second bias


def check_size(count, sizes):
    """Layers, widths and the head must be those that were asked for."""
    expected = sizes.num_parameters
    if abs(count / expected - 1) > SIZE_TOLERANCE:
        raise ValueError(f"The model must have about {expected:,} parameters; it has {count:,}.")


def check_first_loss(loss, num_choices, tolerance):
    """A head of small random weights hardly prefers a label."""
    guess = math.log(num_choices)
    if not abs(loss - guess) < tolerance:
        raise ValueError(f"The first loss must be near {guess:.2f}; got {loss}.")


def check_finite(losses):
    if not np.all(np.isfinite(losses)):
        raise ValueError(f"All losses must be finite; got {losses}.")
