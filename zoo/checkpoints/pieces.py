"""Tokenizers of folders that hold SentencePiece models.

spiece.model                          T5: sentinels follow the pieces
sentencepiece.bpe.model               XLM-R and mBART: fairseq's order, then languages
source.spm, target.spm, vocab.json    Marian: two models over one vocabulary
"""

import json

from zoo import hub
from zoo.checkpoints.formats import sentencepiece as spm
from zoo.checkpoints.roles import TARGET_TOKENIZER_NAME, read_settings
from zoo.checks import shown
from zoo.config import read_object
from zoo.tensors.checks import damaged, open_regular, strict_json
from zoo.tokenizers import Tokenizer
from zoo.tokenizers.checks import MAX_BYTES

ENGLISH = "en_XX"  # what transformers takes a text to be
EXTRA_IDS = 100  # of T5
MBART_50 = "MBart50Tokenizer"


def read_pieces(folder):
    """T5's."""
    path = folder / "spiece.model"
    count = read_settings(folder).get("extra_ids", EXTRA_IDS)
    if type(count) is not int or not 0 <= count <= 2**12:
        raise ValueError(
            f"{folder}: extra_ids must be a number of sentinels up to 4096; got {shown(count)}."
        )
    model = spm.with_extra_ids(spm.read(path), count)
    return tokenizer_of(model, path, after=["</s>"])


def read_fairseq(folder):
    """XLM-R's, or mBART's if the folder's config.json is of one."""
    path, settings = folder / "sentencepiece.bpe.model", read_settings(folder)
    config = folder / hub.CONFIG_NAME
    kind = read_object(config).get("model_type") if config.exists() else None
    if kind != "mbart":
        model = ordered(spm.read(path), (), path)
        return tokenizer_of(model, path, before=["<s>"], after=["</s>"])
    is_50 = str(settings.get("tokenizer_class", "")).removesuffix("Fast") == MBART_50
    languages = spm.LANGUAGES + (spm.MORE_LANGUAGES if is_50 else ())
    source = settings.get("src_lang") or ENGLISH
    if source not in languages:
        raise ValueError(
            f"{folder}: src_lang must be one of {', '.join(languages)}; got {shown(source)}."
        )
    model = ordered(spm.read(path), languages, path)
    if is_50:
        return tokenizer_of(model, path, before=[source], after=["</s>"])
    return tokenizer_of(model, path, after=["</s>", source])


def ordered(model, languages, path):
    try:
        return spm.in_fairseq_order(model, languages)
    except ValueError as error:
        raise damaged(path, str(error)) from None


def read_marian(folder):
    """Marian's: targets are encoded by a model of their own."""
    path = folder / "vocab.json"
    if read_settings(folder).get("separate_vocabs") or (folder / "target_vocab.json").exists():
        raise ValueError(
            f"{folder}: sources and targets must share one vocabulary, vocab.json; these have one "
            "each, which is not supported."
        )
    with open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} must be at most {MAX_BYTES} bytes.")
    vocabulary = strict_json(data, path)
    if not all(type(token_id) is int for token_id in vocabulary.values()):
        raise damaged(path, "it must give each token an id, a whole number")
    sides = []
    for name in ("source.spm", "target.spm"):
        model = spm.read(folder / name)
        if model.kind != "Unigram":
            raise ValueError(f"{folder / name} must be a Unigram model; got {model.kind}.")
        try:
            sides.append(spm.on_vocabulary(model, vocabulary))
        except ValueError as error:
            raise damaged(path, str(error)) from None
    source, target = (json.loads(spm.to_json(side)) for side in sides)
    own = {name: target[name] for name in Tokenizer.OF_TARGETS}
    contents = with_row(source, sides[0], after=["</s>"]) | {"targets": own}
    return Tokenizer(json.dumps(contents, ensure_ascii=False), source=str(path))


def read_both(folder):
    """The tokenizer.json of sources, and the one of targets that zoo.save writes beside it."""
    source, target = (
        json.loads(Tokenizer.load(folder / name).to_json())
        for name in (hub.TOKENIZER_NAME, TARGET_TOKENIZER_NAME)
    )
    own = {name: target[name] for name in Tokenizer.OF_TARGETS if name in target}
    contents = json.dumps(source | {"targets": own}, ensure_ascii=False)
    return Tokenizer(contents, source=str(folder / TARGET_TOKENIZER_NAME))


def tokenizer_of(model, path, **around):
    contents = with_row(json.loads(spm.to_json(model)), model, **around)
    return Tokenizer(json.dumps(contents, ensure_ascii=False, indent=2), source=str(path))


def with_row(contents, model, before=(), after=()):
    """A tokenizer.json that says what stands around a text."""
    ids = {piece.text: i for i, piece in enumerate(model.pieces)}
    if not all(name in ids for name in (*before, *after)):
        return contents

    def special(name):
        return {"SpecialToken": {"id": name, "type_id": 0}}

    text = {"Sequence": {"id": "A", "type_id": 0}}
    row = [*map(special, before), text, *map(special, after)]
    tokens = {
        name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in (*before, *after)
    }
    processor = {
        "type": "TemplateProcessing",
        "single": row,
        "pair": [*row, {"Sequence": {"id": "B", "type_id": 0}}, *map(special, after)],
        "special_tokens": tokens,
    }
    return contents | {"post_processor": processor}
