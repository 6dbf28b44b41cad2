"""Hugging Face transformers' GPT-2 in eager mode, with an eager training loop."""

from itertools import chain

import numpy as np
import torch
import transformers

from benchmarks.libraries import TOKENIZER

TEXT_SHARE = 1
TEXT_BATCH = 1000


class Model:
    """A `transformers.GPT2LMHeadModel`."""

    def __init__(self, model):
        self.model = model
        self.optimizer = None

    def fit(self, token_ids, labels, rows):
        self.model.train()
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(
                self.model.parameters(), lr=3e-4, weight_decay=0.1, fused=True
            )
        # The model moves the labels by one itself, so it gets the token ids as labels.
        for batch in torch.from_numpy(token_ids).long().split(rows):
            loss = self.model(batch, labels=batch, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def generate(self, prompts, new_tokens):
        self.model.eval()
        length = max(len(prompt) for prompt in prompts)
        token_ids = torch.zeros((len(prompts), length), dtype=torch.long)
        attention_mask = torch.zeros_like(token_ids)
        for i, prompt in enumerate(prompts):
            token_ids[i, length - len(prompt) :] = torch.tensor(prompt)
            attention_mask[i, length - len(prompt) :] = 1
        return self.model.generate(
            token_ids,
            attention_mask=attention_mask,
            do_sample=False,
            max_new_tokens=new_tokens,
            pad_token_id=0,
        ).numpy()

    def first_token(self, prompt, context):
        return self.generate([prompt], 1)[0, -1]

    def logits(self, token_ids):
        with torch.no_grad():
            return self.model(torch.tensor(token_ids)).logits.numpy()

    def save(self, folder):
        self.model.save_pretrained(folder)


def build(sizes):
    config = transformers.GPT2Config(
        vocab_size=sizes.vocab_size,
        n_layer=sizes.num_layers,
        n_head=sizes.num_heads,
        n_embd=sizes.hidden_dim,
        n_positions=sizes.context,
        resid_pdrop=sizes.dropout,
        embd_pdrop=sizes.dropout,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=None,
    )
    return Model(transformers.GPT2LMHeadModel(config))


def load(folder):
    return Model(transformers.GPT2LMHeadModel.from_pretrained(folder))


def text_packer(length):
    """The recipe of its language-modelling example: tokenise in batches, join, cut into blocks."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(TOKENIZER))

    def pack(texts):
        rows = []
        for start in range(0, len(texts), TEXT_BATCH):
            encoded = tokenizer(texts[start : start + TEXT_BATCH])
            joined = {name: list(chain.from_iterable(lists)) for name, lists in encoded.items()}
            whole = len(joined["input_ids"]) // length * length
            blocks = {
                name: [ids[i : i + length] for i in range(0, whole, length)]
                for name, ids in joined.items()
            }
            blocks["labels"] = blocks["input_ids"].copy()
            rows += blocks["input_ids"]
        return np.array(rows)

    return pack
