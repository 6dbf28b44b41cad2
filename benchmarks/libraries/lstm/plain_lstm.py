"""An LSTM language model in plain PyTorch, around `torch.nn.LSTM`, in an eager training loop."""

import torch
from torch import nn
from torch.nn import functional


class LSTM(nn.Module):
    """Token ids and labels to the mean loss; the head is the embedding table."""

    def __init__(self, sizes):
        super().__init__()
        dim = sizes.hidden_dim
        self.tokens = nn.Embedding(sizes.vocab_size, dim)
        self.lstm = nn.LSTM(dim, dim, sizes.num_layers, batch_first=True, dropout=sizes.dropout)
        nn.init.normal_(self.tokens.weight, std=0.05)

    def forward(self, token_ids, labels):
        hidden, _ = self.lstm(self.tokens(token_ids))
        logits = functional.linear(hidden, self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


class Model:
    """The network with its optimizer."""

    def __init__(self, network):
        self.network = network
        self.num_parameters = sum(weight.numel() for weight in network.parameters())
        self.optimizer = torch.optim.AdamW(
            network.parameters(), lr=3e-4, weight_decay=0.1, fused=True
        )

    def fit(self, token_ids, labels, rows):
        split = [torch.from_numpy(ids).long().split(rows) for ids in (token_ids, labels)]
        losses = []
        for batch, batch_labels in zip(*split, strict=True):
            loss = self.network(batch, batch_labels)
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()


def build(sizes):
    return Model(LSTM(sizes))
