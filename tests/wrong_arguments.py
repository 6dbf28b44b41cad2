"""What the arguments of public functions and classes, beside those of tasks, must not be.

A row is `name: (sound arguments, {argument: kind})`; `name` says where it is found in `zoo`.
"""

import numpy as np

import zoo
from tests.models import TEXTS, tiny_gpt, tokenizer, word_pieces

SAMPLER = {
    "temperature": "from 0",
    "top_k": "whole or none",
    "top_p": "part or none",
    "min_p": "share or none",
    "repetition_penalty": "positive",
    "typical_p": "part or none",
    "eta_cutoff": "below one",
}
FIGURES = {"y": "true labels", "predictions": "predicted", "labels": "listed"}
SOUND_FIGURES = {"y": ["a", "b"], "predictions": ["a", "a"]}


def rows(folder):
    """The table; `folder` has a preset and files to read, and room to write."""
    model, files = tiny_gpt(), {name: str(folder / name) for name in ("preset", "x.csv", "x.json")}
    text = "the sea\n"
    written = {"documents": TEXTS, "tokenizer": tokenizer(), "path": folder / "x.bin"}
    scored = {"true_tags": [["O"]], "predicted_tags": [["O"]]}
    return {
        "load": (
            {"name": files["preset"]},
            {
                "name": "path",
                "task": "choice or none",
                "weights": "weights",
                "freeze": "refused",
                "revision": "name or none",
                "quantize": "choice or none",
            },
        ),
        "save": (
            {"model": model, "folder": folder / "saved"},
            {
                "model": "model",
                "folder": "path",
                "weights_dtype": "choice or none",
                "format": "choice",
                "max_shard_size": "size",
            },
        ),
        "push": (
            {"model": model, "repo": "me/mine"},
            {
                "model": "model",
                "repo": "repo",
                "format": "choice",
                "private": "flag",
                "weights_dtype": "choice or none",
                "message": "name or none",
            },
        ),
        "export": (
            {"model": model, "path": folder / "served"},
            {"model": "model", "path": "path", "format": "choice"},
        ),
        "list_presets": ({}, {"family": "choice or none", "task": "choice or none"}),
        "data.write_token_file": (
            written,
            {
                "documents": "corpus",
                "tokenizer": "tokenizer",
                "path": "path",
                "separator": "id or none",
                "verbose": "flag",
            },
        ),
        "data.TokenFile": ({"path": folder / "y.bin"}, {"path": "path", "tokenizer": "tokenizer"}),
        "data.PackedRows": (
            {"tokens": np.arange(99), "length": 4, "batch_size": 2},
            {
                "tokens": "row of ids",
                "length": "whole",
                "batch_size": "whole",
                "seed": "seed from 0",
                "shuffle": "flag",
                "drop_remainder": "flag",
            },
        ),
        "data.read_table": (
            {"path": files["x.csv"]},
            {"path": "path", "text": "column", "label": "column or none"},
        ),
        "data.read_conll": (
            {"path": folder / "x.conll"},
            {
                "path": "path",
                "word_column": "column number",
                "tag_column": "column number",
                "scheme": "choice or none",
            },
        ),
        "data.read_squad": ({"source": files["x.json"]}, {"source": "questions"}),
        "data.stream_table": (
            {"path": files["x.csv"], "columns": ["text"]},
            {"path": "path", "columns": "columns"},
        ),
        "generation.Sampler": ({}, SAMPLER),
        "generation.Greedy": ({}, {"repetition_penalty": "positive"}),
        "generation.Temperature": (
            {},
            {"temperature": "from 0", "repetition_penalty": "positive"},
        ),
        "generation.TopK": ({}, {"k": "whole or none", **both()}),
        "generation.TopP": ({}, {"p": "part or none", **both()}),
        "generation.MinP": ({}, {"p": "share or none", **both()}),
        "generation.Beam": (
            {},
            {
                "width": "whole",
                "length_penalty": "from 0",
                "groups": "whole",
                "diversity": "from 0",
                "length_offset": "whole from 0",
            },
        ),
        "generation.Contrastive": ({}, {"penalty_alpha": "share or none", "top_k": "whole"}),
        "generation.RepetitionPenalty": ({"penalty": 1.5}, {"penalty": "positive"}),
        "generation.OccurrencePenalty": ({}, {"presence": "finite", "frequency": "finite"}),
        "generation.NoRepeatNGram": ({"size": 2}, {"size": "whole"}),
        "generation.MinNewTokens": ({"count": 2}, {"count": "new tokens"}),
        "data.MixedRows": (
            {"files": [folder / "y.bin"], "length": 4, "batch_size": 2},
            {
                "files": "several paths",
                "length": "whole",
                "batch_size": "whole",
                "weights": "shares or none",
                "seed": "seed from 0",
                "shuffle": "flag",
                "drop_remainder": "flag",
            },
        ),
        "generation.get_sampler": ({"sampler": "greedy"}, {"sampler": "sampler"}),
        "tokenizers.Tokenizer.load": ({"path": files["preset"]}, {"path": "path"}),
        "tokenizers.Tokenizer.from_json": ({"json": tokenizer().to_json()}, {"json": "json"}),
        "tokenizers.BytePairTokenizer.train": (
            {"texts": [text] * 9, "vocab_size": 300},
            {"texts": "corpus", "vocab_size": "whole", "special_tokens": "token names"},
        ),
        "tokenizers.WordPieceTokenizer.train": (
            {"texts": [text] * 9, "vocab_size": 60},
            {
                "texts": "corpus",
                "vocab_size": "whole",
                "lowercase": "flag",
                "alphabet_size": "whole",
            },
        ),
        "tokenizers.BytePairTokenizer.from_vocab_and_merges": (
            {"vocab": folder / "vocab.json", "merges": folder / "merges.txt"},
            {"vocab": "path", "merges": "path", "special_tokens": "token names"},
        ),
        "tokenizers.WordPieceTokenizer.from_vocab": (
            {"vocab": ["[UNK]", "a"]},
            {"vocab": "path", "lowercase": "flag"},
        ),
        "tokenizers.StreamDecoder": (
            {"tokenizer": tokenizer()},
            {"tokenizer": "needed tokenizer", "skip_special": "flag"},
        ),
        "tokenizers.SpecialTokens": ({}, dict.fromkeys(ROLES, "id or none")),
        "training.metrics.classification_report": (
            SOUND_FIGURES,
            {**FIGURES, "digits": "whole from 0", "output_dict": "flag"},
        ),
        "training.metrics.confusion_matrix": (SOUND_FIGURES, FIGURES),
        "training.metrics.draw_confusion_matrix": (
            {**SOUND_FIGURES, "picture": folder / "x.png"},
            {**FIGURES, "picture": "path"},
        ),
        "training.metrics.classification_scores": (
            {"true": ["a"], "predicted": ["a"], "labels": ["a"]},
            {"true": "true labels", "predicted": "true labels", "labels": "labels listed"},
        ),
        "training.metrics.entity_f1": (
            scored,
            {"true_tags": "tags of sentences", "predicted_tags": "tags of sentences"},
        ),
        "training.metrics.squad_scores": (
            {"predictions": {"1": "a"}, "references": [zoo.data.QAExample("1", "q", "a b", ())]},
            {"predictions": "answers", "references": "references"},
        ),
    }


def both():
    return {"temperature": "from 0", "repetition_penalty": "positive"}


ROLES = (
    *("start", "stop", "separator", "padding", "mask", "decoder_start", "unknown"),
    *("source_start", "source_end", "target_start", "never"),
)
METHODS = {  # of a tokenizer
    "encode": ({"text": "a"}, {"text": "text", "allow_special": "flag"}),
    "encode_with_offsets": ({"text": "a"}, {"text": "text", "allow_special": "flag"}),
    "encode_with_words": ({"text": "a"}, {"text": "text"}),
    "decode": ({"ids": [1]}, {"ids": "ids", "skip_special": "flag"}),
    "check_ids": ({"ids": [1]}, {"ids": "row of ids"}),
    "id_to_token": ({"token_id": 1}, {"token_id": "id"}),
    "token_to_id": ({"token": "a"}, {"token": "token"}),
    "stream_decoder": ({}, {"skip_special": "flag"}),
    "save": ({}, {"path": "path"}),
    "unknown_share": ({"rows": [[1]]}, {"rows": "anything"}),
    "warn_of_unknown": ({"rows": [[1]]}, {"rows": "anything", "stacklevel": "anything"}),
}
LEFT_OUT = {  # with the reason
    *(
        "generation.Processor",
        "generation.Constraint",
        "generation.Scored",
        "generation.LogitBias",
    ),  # made by `generate`
    *("generation.Decoder", "generation.Decoding", "generation.Request", "generation.generate"),
    *("generation.choose_tokens", "generation.stream"),  # ids in, ids out, beneath the tasks
    *("data.QAExample",),  # plain fields, checked where they are read
    *("tokenizers.Tokenizer", "tokenizers.BytePairTokenizer", "tokenizers.WordPieceTokenizer"),
    *("training.metrics.bleu", "training.metrics.chrf", "training.metrics.rouge"),
    *("training.metrics.perplexity",),  # in test_metrics_text
}
word_pieces()
