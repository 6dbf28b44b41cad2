"""Hugging Face transformers' BERT in eager mode, with an eager training loop."""

import numpy as np
import torch
import transformers

from benchmarks import inputs

EMBEDDING_BATCH = 32


class Classifier:
    """A `transformers.BertForSequenceClassification`; each batch is padded to its longest text."""

    def __init__(self, model, tokenizer):
        self.model = model
        self.tokenizer = tokenizer
        self.collate = transformers.DataCollatorWithPadding(tokenizer)
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=5e-5, weight_decay=0.01, fused=True
        )

    def fit(self, texts, labels, rows):
        self.model.train()
        losses = []
        for batch in self._loader(texts, labels, rows):
            loss = self.model(**batch).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()

    def count_tokens(self, texts):
        return [len(ids) for ids in self._encode(texts)["input_ids"]]

    def _loader(self, texts, labels, rows):
        encoded = self._encode(texts)
        examples = [
            {name: encoded[name][i] for name in encoded} | {"label": int(labels[i])}
            for i in range(len(texts))
        ]
        return torch.utils.data.DataLoader(
            examples, batch_size=rows, shuffle=True, collate_fn=self.collate
        )

    def _encode(self, texts):
        return self.tokenizer(texts, truncation=True)


class Embedder:
    """A `transformers.BertModel` as sentence-transformers runs it: the longest texts first."""

    def __init__(self, model, tokenizer):
        self.model = model.eval()
        self.tokenizer = tokenizer

    @torch.inference_mode()
    def encode(self, texts):
        order = np.argsort([-len(text) for text in texts], kind="stable")
        vectors = torch.empty(len(texts), self.model.config.hidden_size)
        for start in range(0, len(texts), EMBEDDING_BATCH):
            rows = order[start : start + EMBEDDING_BATCH]
            batch = self.tokenizer(
                [texts[row] for row in rows], padding=True, truncation=True, return_tensors="pt"
            )
            hidden = self.model(**batch).last_hidden_state
            weight = batch["attention_mask"][:, :, None].to(hidden.dtype)
            mean = (hidden * weight).sum(dim=1) / weight.sum(dim=1)
            vectors[torch.from_numpy(rows)] = torch.nn.functional.normalize(mean)
        return vectors.numpy()


def build_classifier(sizes):
    model = transformers.BertForSequenceClassification(_config(sizes))
    return Classifier(model, _tokenizer(sizes))


def build_embedder(sizes):
    model = transformers.BertModel(_config(sizes), add_pooling_layer=False)
    return Embedder(model, _tokenizer(sizes))


def _config(sizes):
    return transformers.BertConfig(
        vocab_size=sizes.vocab_size,
        num_hidden_layers=sizes.num_layers,
        num_attention_heads=sizes.num_heads,
        hidden_size=sizes.hidden_dim,
        intermediate_size=4 * sizes.hidden_dim,
        max_position_embeddings=sizes.context,
        hidden_dropout_prob=sizes.dropout,
        attention_probs_dropout_prob=sizes.dropout,
        num_labels=sizes.num_labels,
    )


def _tokenizer(sizes):
    pieces = inputs.word_pieces(sizes.vocab_size)
    ids = {piece: i for i, piece in enumerate(pieces)}
    return transformers.BertTokenizer(ids, model_max_length=sizes.context)
