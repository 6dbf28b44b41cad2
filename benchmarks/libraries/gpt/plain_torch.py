"""GPT-2 in plain PyTorch, written from the paper and compiled as a whole: training only."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, sizes):
        super().__init__()
        dim = sizes.hidden_dim
        self.num_heads = sizes.num_heads
        self.dropout = nn.Dropout(sizes.dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.attention_output = nn.Linear(dim, dim)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)

    def forward(self, x):
        x = x + self.dropout(self.attend(self.attention_norm(x)))
        hidden = functional.gelu(self.expand(self.feed_forward_norm(x)), approximate="tanh")
        return x + self.dropout(self.contract(hidden))

    def attend(self, x):
        split = self.query_key_value(x).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each (batch, heads, length, head_dim)
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.attention_output(mixed.transpose(1, 2).flatten(-2))


class GPT(nn.Module):
    """Token ids and labels to the mean loss; the head is the embedding table."""

    def __init__(self, sizes):
        super().__init__()
        self.tokens = nn.Embedding(sizes.vocab_size, sizes.hidden_dim)
        self.positions = nn.Embedding(sizes.context, sizes.hidden_dim)
        self.dropout = nn.Dropout(sizes.dropout)
        self.blocks = nn.Sequential(*(Block(sizes) for _ in range(sizes.num_layers)))
        self.norm = nn.LayerNorm(sizes.hidden_dim)
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=0.02)

    def forward(self, token_ids, labels):
        positions = torch.arange(token_ids.shape[1], device=token_ids.device)
        x = self.dropout(self.tokens(token_ids) + self.positions(positions))
        logits = functional.linear(self.norm(self.blocks(x)), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


class Model:
    """The compiled network with its optimizer."""

    def __init__(self, sizes):
        self.network = GPT(sizes)
        self.loss = torch.compile(self.network)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=3e-4, weight_decay=0.1, fused=True
        )

    def fit(self, token_ids, labels, rows):
        batches = zip(_split(token_ids, rows), _split(labels, rows), strict=True)
        for batch, batch_labels in batches:
            self.loss(batch, batch_labels).backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)


def _split(array, rows):
    return torch.from_numpy(array).long().split(rows)


def build(sizes):
    return Model(sizes)
