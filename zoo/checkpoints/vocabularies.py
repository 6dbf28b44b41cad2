"""The tokenizer of a folder of transformers, both ways.

    tokenizer.json          what the `tokenizers` library reads: of all newer folders
    vocab.json, merges.txt  a byte-level BPE, as GPT-2 was published
    vocab.txt               WordPiece, as BERT was published
    spiece.model, ...       SentencePiece: `zoo.checkpoints.pieces`
    target_tokenizer.json   ours, beside a tokenizer.json of sources alone, as Marian has

`READERS` lists them, the first that is there counts. What is written is a tokenizer.json, with a
tokenizer_config.json that names no class of a family: it is read as it stands.
"""

import json
from pathlib import Path

from tokenizers import processors

from zoo import hub
from zoo.checkpoints import chat_templates, pieces, roles
from zoo.checkpoints.roles import read_settings
from zoo.checks import shown
from zoo.data.rows import RowFormat
from zoo.tasks.encoder_task import EncoderTask
from zoo.tokenizers import BytePairTokenizer, Tokenizer, WordPieceTokenizer
from zoo.tokenizers.engine import library_errors


def read_tokenizer(folder):
    """The tokenizer of a folder, or None where it has none.

    Raises:
        ValueError: damaged, or settings that only a tokenizer.json can hold.
    """
    folder = Path(folder)
    for name, read in READERS.items():
        if (folder / name).exists() or (folder / name).is_symlink():
            return read(folder)
    return None


def read_byte_pairs(folder):
    """GPT-2's two files. Its special tokens are those that the other files name, or the usual."""
    settings = read_settings(folder)
    if settings.get("add_prefix_space"):
        raise refused(folder, "add_prefix_space", settings)
    names = [*roles.read_names(folder).values(), *BYTE_PAIR_SPECIALS]
    vocabulary = folder / "vocab.json"
    try:
        return BytePairTokenizer.from_vocab_and_merges(
            vocabulary, folder / "merges.txt", tuple(dict.fromkeys(names))
        )
    except ValueError as error:
        raise ValueError(f"{vocabulary} and merges.txt make no tokenizer: {error}") from None


def read_word_pieces(folder):
    """BERT's vocab.txt."""
    settings = read_settings(folder)
    lowercase = settings.get("do_lower_case", True)
    usual = {"strip_accents": (None, lowercase), "tokenize_chinese_chars": (None, True)}
    for key, values in usual.items():
        if settings.get(key) not in values:
            raise refused(folder, key, settings)
    return WordPieceTokenizer.from_vocab(folder / "vocab.txt", lowercase=lowercase)


BYTE_PAIR_SPECIALS = ("<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>")
READERS = {
    roles.TARGET_TOKENIZER_NAME: pieces.read_both,
    hub.TOKENIZER_NAME: Tokenizer.load,
    "source.spm": pieces.read_marian,
    "sentencepiece.bpe.model": pieces.read_fairseq,
    "spiece.model": pieces.read_pieces,
    "vocab.json": read_byte_pairs,
    "vocab.txt": read_word_pieces,
}


def refused(folder, key, settings):
    return ValueError(
        f"{folder / roles.TOKENIZER_CONFIG_NAME}: {key} must be left at its default for a "
        f"vocabulary without a {hub.TOKENIZER_NAME}; got {shown(settings[key])}. Save it again "
        "with transformers, which writes one."
    )


def write_tokenizer(model, family, folder):
    """Write the tokenizer of a task so that `AutoTokenizer` makes the rows that the task makes."""
    tokenizer, special_tokens = model.tokenizer, model.special_tokens
    contents = json.loads(tokenizer.to_json()) | {"truncation": None, "padding": None}
    targets = contents.pop("targets", None)  # which their library does not know
    if isinstance(model, EncoderTask):
        form = model.row_format
    elif "cls_token" in family.roles.values():
        form = RowFormat(tokenizer, model.backbone, special_tokens)
    else:
        form = None
    if form is not None and form.end:  # rows begin and end with tokens
        contents["post_processor"] = row_processor(form)
    if hasattr(model, "pair_format"):
        contents["post_processor"] = source_processor(model.pair_format)
    names = roles.their_names(special_tokens, family.roles, tokenizer)
    if "eos_token" in names:  # GPT-2's own files say so, too, and CTranslate2 needs one
        names.setdefault("unk_token", names["eos_token"])
    if "decoder_start_token" in names:  # CTranslate2 takes a Pegasus' padding for it
        names.setdefault("pad_token", names["decoder_start_token"])
    inputs = ["input_ids", "attention_mask"]
    if "segment_ids" in getattr(model.backbone, "optional_inputs", ()):
        inputs.insert(1, "token_type_ids")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": model.backbone.max_length,
        "model_input_names": inputs,
        "clean_up_tokenization_spaces": False,
        **names,
    }
    if getattr(model, "chat_template", None) is not None:
        settings[chat_templates.KEY] = model.chat_template
    write_json(folder / hub.TOKENIZER_NAME, contents)
    if targets is not None:
        write_json(folder / roles.TARGET_TOKENIZER_NAME, contents | targets)
    write_json(folder / roles.TOKENIZER_CONFIG_NAME, settings)
    write_json(folder / roles.SPECIAL_TOKENS_NAME, names)


def row_processor(form):
    """The post_processor of a tokenizer.json that lays out rows as a `RowFormat` does."""
    tokenizer = form.tokenizer
    start, separator = (tokenizer.id_to_token(i) for i in (form.start_id, form.separator_id))
    between = " ".join([f"{separator}:0"] + [f"{separator}:1"] * (form.between - 1))
    with library_errors(f"{tokenizer.source} cannot lay out rows"):
        processor = processors.TemplateProcessing(
            single=f"{start}:0 $A:0 {separator}:0",
            pair=f"{start}:0 $A:0 {between} $B:1 {separator}:1",
            special_tokens=[(start, form.start_id), (separator, form.separator_id)],
        )
    return json.loads(processor.__getstate__())


def source_processor(form):
    """The same of a source, as a `PairFormat` lays it out."""
    names = [
        [form.tokenizer.id_to_token(i) for i in ids]
        for ids in (form.before_source, form.after_source)
    ]
    before, after = names
    with library_errors(f"{form.tokenizer.source} cannot lay out rows"):
        processor = processors.TemplateProcessing(
            single=[*before, "$A", *after],
            special_tokens=list(
                zip([*before, *after], [*form.before_source, *form.after_source], strict=True)
            ),
        )
    return json.loads(processor.__getstate__())


def write_json(path, contents):
    text = json.dumps(contents, indent=2, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
