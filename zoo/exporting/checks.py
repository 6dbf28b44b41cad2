"""What must hold before an export starts."""

import errno
import importlib.util
import json
import os

from zoo.tasks import CausalLM, QuestionAnswerer, Seq2SeqLM, Task, TokenClassifier
from zoo.tokenizers.streaming import BYTE_OF

DISK_FULL = os.strerror(errno.ENOSPC)
FORMATS = ("saved_model",)
SAVED_MODEL_FILES = {"saved_model.pb", "fingerprint.pb", "variables", "assets", "assets.extra"}


def check_format(format):
    """Raise ValueError for a format that is not there."""
    if format not in FORMATS:
        names = ", ".join(map(repr, FORMATS))
        raise ValueError(f"format must be one of {names}; got {format!r}.")


def check_model(model):
    """Raise TypeError for what is not a task, ValueError for a tokenizer that has no graph."""
    if not isinstance(model, Task):
        raise TypeError(
            f"export takes a task, such as a zoo.CausalLM; got {type(model).__name__}. Put a "
            "backbone into one, as in zoo.CausalLM(backbone, tokenizer)."
        )
    if model.tokenizer is None:
        return
    writes = isinstance(model, (CausalLM, Seq2SeqLM))
    if writes or model.tokenizer.kind != "WordPiece":
        check_tokenizer(model.tokenizer)
        if isinstance(model, (QuestionAnswerer, TokenClassifier)):
            raise ValueError(
                "In a graph only a WordPiece tokenizer tells where its tokens stand, which "
                f"{type(model).__name__} needs; this one's model is {model.tokenizer.kind}. "
                "Without tokenizer the task can be exported, from token ids on."
            )
    else:
        check_word_piece(model.tokenizer)


def check_tokenizer(tokenizer):
    """Raise ValueError unless a graph can do what a tokenizer does."""
    contents = json.loads(tokenizer.to_json())
    model, splitter = contents["model"], contents.get("pre_tokenizer") or {}
    decoder, added = contents.get("decoder") or {}, contents.get("added_tokens") or []
    kind = model.get("type", "BPE")
    problems = {
        f"its model is {kind}": kind != "BPE",
        "it normalises text": contents.get("normalizer"),
        "it does not split text as GPT-2 does": splitter.get("type") != "ByteLevel"
        or not splitter.get("use_regex", True),
        "it puts a space before text": splitter.get("add_prefix_space", True),
        "its decoder is not byte-level": decoder.get("type") != "ByteLevel",
        "it has no ids for some bytes": not BYTE_OF.keys() <= set(model["vocab"]),
        "it has added tokens that are not special": not all(t.get("special") for t in added),
        "it has no end token": tokenizer.end_id is None,
    }
    options = "dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges"
    problems |= {f"it uses {option}": model.get(option) for option in options}
    found = [problem for problem, is_there in problems.items() if is_there]
    if kind != "BPE":
        found = found[:1]  # the rest follows from it
    if found:
        raise ValueError(
            "Only a byte-level BPE tokenizer such as GPT-2's can be put into a graph, but of this "
            f"one: {', '.join(found)}. A task without tokenizer can be exported, from token ids to "
            "logits."
        )


def check_word_piece(tokenizer):
    """Raise ValueError unless a graph can do what a WordPiece tokenizer does."""
    contents = json.loads(tokenizer.to_json())
    normalizer, splitter = contents.get("normalizer") or {}, contents.get("pre_tokenizer") or {}
    added = contents.get("added_tokens") or []
    kind = contents["model"].get("type", "BPE")
    problems = {
        f"its model is {kind}": kind != "WordPiece",
        "it does not normalise text as BERT does": normalizer.get("type") != "BertNormalizer",
        "it does not split text as BERT does": splitter.get("type") != "BertPreTokenizer",
        "it has added tokens that are not special": not all(t.get("special") for t in added),
    }
    found = [problem for problem, is_there in problems.items() if is_there]
    if kind != "WordPiece":
        found = found[:1]  # the rest follows from it
    if found:
        raise ValueError(
            "Only a WordPiece tokenizer such as BERT's can be put into a graph here, but of this "
            f"one: {', '.join(found)}. A task without tokenizer can be exported, from token ids on."
        )


def check_tensorflow():
    """Raise ImportError where TensorFlow is not installed."""
    try:
        found = importlib.util.find_spec("tensorflow")
    except (ImportError, ValueError):
        found = None
    if found is None:
        raise ImportError(
            "A SavedModel is written by TensorFlow, which is not installed here. Run: "
            'pip install "keras-zoo[tensorflow]"'
        )


def check_target(folder):
    """Raise FileExistsError where something other than a SavedModel would be overwritten."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"The SavedModel becomes a folder, but {folder} is a file.")
    names = {item.name for item in folder.iterdir()} if folder.exists() else set()
    others = sorted(names - SAVED_MODEL_FILES)
    if others or (names and "saved_model.pb" not in names):
        example = f", such as {others[0]!r}" if others else ""
        raise FileExistsError(
            f"Only a SavedModel is overwritten, but {folder} holds other things{example}. Choose "
            "a new or empty folder."
        )
