"""A row of the matrix, taken through both directions."""

import contextlib
import logging
import tempfile
from pathlib import Path

import keras
import numpy as np

import zoo

LENGTHS = np.array([11, 7, 3])
NEW_TOKENS = 8


def make_theirs(case):
    """A random model of transformers; zeros and ones would hide mistakes."""
    import torch
    import transformers

    with quiet():
        cls = getattr(transformers, case.cls)
        config = cls.config_class(**case.config)
        model = cls(config).eval()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for name, value in model.named_parameters():
                if not value.requires_grad:  # sines and cosines of positions
                    continue
                centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
                value.copy_(centre + 0.2 * torch.randn(value.shape, generator=generator))
    return model


def batch_of(case, model):
    """Rows of three lengths, padded as their tokenizer would; segments where there are some."""
    rng = np.random.default_rng(0)
    real = np.arange(LENGTHS.max()) < LENGTHS[:, None]
    token_ids = np.where(real, rng.integers(6, case.config["vocab_size"], real.shape), 0)
    token_ids[~real] = case.padding_id
    if case.cls == "BartForSequenceClassification":  # which reads what it has at the end token
        token_ids[np.arange(len(LENGTHS)), LENGTHS - 1] = case.config["eos_token_id"]
    batch = {"token_ids": token_ids.astype("int32"), "padding_mask": real}
    if "segment_ids" in getattr(model.backbone, "optional_inputs", ()):
        segments = rng.integers(0, case.config["type_vocab_size"], real.shape)
        batch["segment_ids"] = segments.astype("int32")
    if isinstance(model, zoo.Seq2SeqLM):
        targets = rng.integers(6, case.config["vocab_size"], real.shape)
        batch["decoder_token_ids"] = targets.astype("int32")
        batch["decoder_padding_mask"] = np.ones_like(real)
    return batch


THEIR_INPUTS = {
    "token_ids": "input_ids",
    "padding_mask": "attention_mask",
    "segment_ids": "token_type_ids",
    "decoder_token_ids": "decoder_input_ids",
    "decoder_padding_mask": "decoder_attention_mask",
}


def their_outputs(model, batch):
    """`{name: array}` of what their model returns."""
    import torch

    tensors = {
        THEIR_INPUTS[name]: torch.from_numpy(np.asarray(array, "int64"))
        for name, array in batch.items()
    }
    with torch.no_grad():
        outputs = model(**tensors)
    return {
        name: value.float().numpy() for name, value in outputs.items() if hasattr(value, "numpy")
    }


# What of their outputs is what of ours: `{task: (of theirs, of ours)}`, each `{name: array}`.
OUTPUTS = {
    "pretraining": (
        lambda theirs: {
            "masked_lm": theirs["prediction_logits"],
            "next_sentence": theirs["seq_relationship_logits"],
        },
        lambda model, batch, names: model(batch),
    ),
    "question_answering": (
        lambda theirs: {"both": np.stack([theirs["start_logits"], theirs["end_logits"]], axis=-1)},
        lambda model, batch, names: {"both": model(batch)},
    ),
}


def usual_outputs(theirs):
    name = "logits" if "logits" in theirs else "last_hidden_state"
    return {name: theirs[name]}


def our_usual_outputs(model, batch, names):
    makers = {"logits": model, "last_hidden_state": model.backbone}
    return {name: makers[name](batch) for name in names}


def compare(ours, theirs, batch):
    """The largest difference of their outputs and ours at real tokens."""
    of_theirs, of_ours = OUTPUTS.get(type(ours).task_name, (usual_outputs, our_usual_outputs))
    expected = of_theirs(their_outputs(theirs, batch))
    found = of_ours(ours, batch, expected)
    real = batch.get("decoder_padding_mask", batch["padding_mask"])
    differences = []
    for name, array in expected.items():
        mine = keras.ops.convert_to_numpy(found[name]).astype("float32")
        if mine.shape != array.shape:
            raise AssertionError(f"{name}: theirs has the shape {array.shape}, ours {mine.shape}")
        if array.ndim == 3:
            array, mine = array[real], mine[real]
        if np.std(array) < 0.02:
            raise AssertionError(f"{name} is constant: it would be equal too easily")
        differences.append(np.abs(array - mine).max())
    return float(max(differences))


def greedy_is_equal(ours, theirs, batch):
    """Whether both write the same tokens, without a stop; None of a model that does not write."""
    import torch

    prompts = [
        row[:length].tolist() for row, length in zip(batch["token_ids"], LENGTHS, strict=True)
    ]
    if isinstance(ours, zoo.Seq2SeqLM):
        return targets_are_equal(ours, theirs, prompts)
    if not isinstance(ours, zoo.CausalLM):
        return None
    ours.special_tokens, special_tokens = zoo.tokenizers.SpecialTokens(), ours.special_tokens
    mine = ours.generate(prompts, NEW_TOKENS, "greedy", verbose=0)
    ours.special_tokens = special_tokens
    for prompt, row in zip(prompts, mine, strict=True):
        written = theirs.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones((1, len(prompt)), dtype=torch.long),
            do_sample=False,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            eos_token_id=None,
            pad_token_id=0,
        )
        if written[0].tolist() != row:
            return False
    return True


def targets_are_equal(ours, theirs, sources):
    """The same of an encoder-decoder, up to a stop; None of their class without a head."""
    import torch

    if not theirs.can_generate():
        return None
    given, (end,) = ours.special_tokens.num_given, ours.special_tokens.stop
    mine = ours.generate(sources, NEW_TOKENS, "greedy", verbose=0)
    for source, ids in zip(sources, mine, strict=True):
        row = torch.tensor([ours.pair_format.source_row(source)])
        written = theirs.generate(row, do_sample=False, max_new_tokens=NEW_TOKENS + given)
        written = written[0].tolist()[1 + given :]
        if (written[: written.index(end)] if end in written else written) != ids:
            return False
    return True


def check(case):
    """`{"in": difference, "out": difference, "greedy": bool or None}` of a case.

    In: theirs, loaded by `zoo.load`. Out: that, saved with `format="transformers"`, and opened by
    the class that config.json names, without a missing or an unknown weight.
    """
    theirs = make_theirs(case)
    with tempfile.TemporaryDirectory() as scratch, quiet():
        theirs.save_pretrained(Path(scratch, "theirs"))
        ours = zoo.load(Path(scratch, "theirs"))
        batch = batch_of(case, ours)
        found = {"in": compare(ours, theirs, batch)}
        zoo.save(ours, Path(scratch, "ours"), format="transformers")
        back = opened(Path(scratch, "ours"), ours)
        found["out"] = compare(ours, back, batch)
        found["greedy"] = greedy_is_equal(ours, back, batch)
    return found


def opened(folder, ours):
    """The model of transformers in a folder, of the class that its config.json names."""
    import transformers

    name = transformers.AutoConfig.from_pretrained(folder).architectures[0]
    model, report = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    lacking = {key for key in report["missing_keys"] if not key.startswith("pooler.")}
    if lacking or report["unexpected_keys"] or report["mismatched_keys"]:
        raise AssertionError(f"{name} does not find its weights: {report}")
    return model.eval()


@contextlib.contextmanager
def quiet():
    """Without the bars and the notes of transformers."""
    from transformers.utils import logging as their_logging

    level = their_logging.get_verbosity()
    their_logging.set_verbosity(logging.ERROR)
    their_logging.disable_progress_bar()
    try:
        yield
    finally:
        their_logging.set_verbosity(level)
        their_logging.enable_progress_bar()
