"""Hugging Face transformers' BART in eager mode, with an eager training loop."""

import torch
import transformers

from benchmarks import inputs


class Model:
    """A `transformers.BartForConditionalGeneration`."""

    def __init__(self, model):
        self.model = model
        self.num_parameters = sum(weight.numel() for weight in model.parameters())
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=3e-4, weight_decay=0.1, fused=True
        )

    def fit(self, sources, targets, labels, rows):
        self.model.train()
        split = [torch.from_numpy(ids).long().split(rows) for ids in (sources, targets, labels)]
        losses = []
        for source, target, label in zip(*split, strict=True):
            loss = self.model(source, decoder_input_ids=target, labels=label, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        return torch.stack(losses).mean().item()

    def translate(self, sources, new_tokens, width=1):
        self.model.eval()
        rows = self.model.generate(
            **_padded(sources), do_sample=False, num_beams=width, max_new_tokens=new_tokens
        )
        return rows[:, 1:].tolist()

    @torch.no_grad()
    def logits(self, sources, targets):
        self.model.eval()
        decoder_input_ids = torch.from_numpy(targets).long()
        return self.model(**_padded(sources), decoder_input_ids=decoder_input_ids).logits.numpy()


def build(sizes):
    config = transformers.BartConfig(
        vocab_size=sizes.vocab_size,
        encoder_layers=sizes.num_layers,
        decoder_layers=sizes.num_layers,
        encoder_attention_heads=sizes.num_heads,
        decoder_attention_heads=sizes.num_heads,
        d_model=sizes.hidden_dim,
        encoder_ffn_dim=4 * sizes.hidden_dim,
        decoder_ffn_dim=4 * sizes.hidden_dim,
        max_position_embeddings=sizes.context,
        dropout=sizes.dropout,
        attention_dropout=sizes.dropout,
        decoder_start_token_id=inputs.START,
        bos_token_id=None,
        eos_token_id=None,
        forced_eos_token_id=None,
        pad_token_id=0,
    )
    return Model(transformers.BartForConditionalGeneration(config))


def _padded(sources):
    token_ids, mask = inputs.pad(sources)
    return {
        "input_ids": torch.from_numpy(token_ids).long(),
        "attention_mask": torch.from_numpy(mask).long(),
    }
