"""Rows of token files in which tokens are masked anew in every epoch."""

import numpy as np

from zoo.data.batches import Batches
from zoo.data.rows import RowFormat


class MaskedTokens(Batches):
    """Rows of a token stream for masked language models, `[CLS] ... [SEP]`, without padding.

    Args:
        rows: `Batches` of `(token_ids, labels)`, such as `zoo.data.MixedRows`, two tokens shorter.
        model: a `zoo.MaskedLM`, whose objective masks and whose special tokens frame.
        is_fixed: bool, whether order and masks are always the same, as for validation.
    """

    def __init__(self, rows, model, is_fixed=False):
        self.rows = rows
        self.objective = model.objective()
        form = RowFormat(model.tokenizer, model.backbone, model.special_tokens)
        self.frame = form.start_id, form.separator_id
        super().__init__(rows.seed, is_fixed)

    def plan(self, rng):
        planned = self.rows.plan(rng)
        return list(zip(planned, rng.integers(2**32, size=len(planned)), strict=True))

    def make(self, planned):
        rows, seed = planned
        inner, _ = self.rows.make(rows)
        before, after = (np.full((len(inner), 1), one, "int32") for one in self.frame)
        token_ids = np.concatenate([before, inner, after], axis=1)
        mask = np.ones(token_ids.shape, "bool")
        masked, positions, labels, weight = self.objective(
            token_ids, mask, np.random.default_rng(seed)
        )
        inputs = {"token_ids": masked, "padding_mask": mask, "masked_positions": positions}
        return inputs, labels, weight
