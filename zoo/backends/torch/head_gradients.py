"""What `head_loss` does, written for PyTorch: the logits are overwritten by their gradients."""

import torch

from zoo.backends.head_gradients import chunk_sizes
from zoo.backends.torch.products import linear


@torch.no_grad()
def head_gradients(hidden, table, labels, sample_weight):
    """The sums and gradients of `zoo.layers.head_loss.head_cross_entropy`."""
    _, size = chunk_sizes(len(hidden), len(table))
    sums = hidden.new_zeros(2, dtype=torch.float32)
    d_hidden = torch.empty_like(hidden, dtype=torch.float32)
    d_table = None
    for start in range(0, len(hidden), size):
        rows = slice(start, start + size)
        states, label, weight = hidden[rows], labels[rows, None].long(), sample_weight[rows, None]
        logits = linear(states, table).float()
        largest = logits.amax(-1, keepdim=True)
        label_logit = logits.gather(-1, label)
        exponentials = logits.sub_(largest).exp_()
        partition = exponentials.sum(-1, keepdim=True)
        sums[0] += (weight * (partition.log() + largest - label_logit)).sum()
        sums[1] += (weight * (label_logit >= largest)).sum()
        # weight * (softmax - one_hot)
        d_logits = exponentials.mul_(weight / partition).scatter_add_(-1, label, -weight)
        d_logits = d_logits.to(hidden.dtype)
        d_hidden[rows] = linear(d_logits, table.T)
        if d_table is None:
            d_table = product_in_float32(d_logits.T, states)
        elif hidden.dtype == torch.float32:
            d_table.addmm_(d_logits.T, states)
        else:
            d_table += product_in_float32(d_logits.T, states)
    return sums, d_hidden, d_table


def product_in_float32(x, y):
    """`x @ y`, added up in float32: a sum over tokens would have no room in float16."""
    if x.dtype != torch.float32 and x.is_cuda:
        return torch.mm(x, y, out_dtype=torch.float32)
    return x.float() @ y.float()
