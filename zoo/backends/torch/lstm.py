"""PyTorch's own LSTM kernels, on weights laid out as Keras does: oneDNN's, and cuDNN's on a GPU."""

import torch


def lstm(x, state, kernel, recurrent_kernel, bias):
    """What `zoo.layers.recurrent.read_sequence` does; the arguments are those."""
    hidden, cell = (part[None].contiguous() for part in state)
    # Both have the gates in the order input, forget, cell, output. PyTorch adds two biases.
    weights = [kernel.T, recurrent_kernel.T, bias, torch.zeros_like(bias)]
    if x.is_cuda:
        weights = [weight.contiguous() for weight in weights]
    sequence, hidden, cell = torch._VF.lstm(
        x,
        (hidden, cell),
        weights,
        True,  # has biases
        1,  # layers
        0.0,  # dropout
        torch.is_grad_enabled(),
        False,  # bidirectional
        True,  # the batch comes first
    )
    return sequence, (hidden[0], cell[0])
