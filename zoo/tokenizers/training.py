"""Learning vocabularies from text. Each function returns the JSON of a `tokenizer.json`."""

import collections
import json

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from zoo.checks import file_path, require_flag, require_several, require_whole
from zoo.files import is_path, read_lines, read_text, refuse_name

BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUES = "##"


def byte_pair(texts, vocab_size, special_tokens):
    special_tokens = checked_names(special_tokens)
    require_whole("vocab_size", vocab_size, optional=False)
    smallest = 256 + len(special_tokens)
    if vocab_size < smallest:
        raise ValueError(
            f"A byte-level vocabulary holds 256 bytes and {len(special_tokens)} special tokens, "
            f"so vocab_size must be at least {smallest}; got {vocab_size}."
        )
    engine = byte_level_engine(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    engine.train_from_iterator(checked(texts), trainer)
    return engine.to_str(pretty=True)


def checked_names(special_tokens):
    """Names of special tokens as a list; refuses what is none, empty or there twice."""
    require_several("special_tokens", special_tokens, "names")
    names = list(special_tokens)
    for name in names:
        if not isinstance(name, str) or not name or names.count(name) > 1:
            raise ValueError(
                f"special_tokens must be different names that are not empty; got {names!r}."
            )
    return names


def byte_pair_files(vocab, merges, special_tokens):
    special_tokens = checked_names(special_tokens)
    if not isinstance(vocab, dict):
        vocab = json.loads(read(vocab, read_text))
    if not isinstance(merges, (list, tuple)):
        lines = read(merges, read_lines)
        has_version = bool(lines) and lines[0].startswith("#version")
        merges = [line for line in lines[has_version:] if line]
    contents = json.loads(byte_level_engine(models.BPE()).to_str())
    contents["model"] |= {"type": "BPE", "vocab": vocab, "merges": list(merges)}
    contents["added_tokens"] = [
        special_token(token, vocab[token]) for token in special_tokens if token in vocab
    ]
    return json.dumps(contents, ensure_ascii=False, indent=2)


def byte_level_engine(model):
    engine = tokenizers.Tokenizer(model)
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    engine.decoder = decoders.ByteLevel()
    return engine


def word_piece(texts, vocab_size, lowercase, alphabet_size):
    require_whole("vocab_size", vocab_size, optional=False)
    require_whole("alphabet_size", alphabet_size, optional=False)
    engine = word_piece_engine(models.WordPiece(unk_token="[UNK]"), lowercase)
    counts = collections.Counter()
    for text in checked(texts):
        words = engine.pre_tokenizer.pre_tokenize_str(engine.normalizer.normalize_str(text))
        counts.update(word for word, _ in words)
    first, later = alphabets(counts, alphabet_size)
    smallest = len(BERT_SPECIALS) + len(first) + len(later)
    if vocab_size < smallest:
        raise ValueError(
            f"These texts need {smallest} ids for their characters and {len(BERT_SPECIALS)} "
            f"special tokens, so vocab_size must be at least that; got {vocab_size}. "
            "A smaller alphabet_size keeps fewer characters."
        )
    # The library numbers "##x" tokens in random order, and with them the ties between merges.
    # As special tokens they are numbered in the order given here; they are freed again below.
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[*BERT_SPECIALS, *later],
        initial_alphabet=first,
        limit_alphabet=max(1, len(first)),
        continuing_subword_prefix=CONTINUES,
        show_progress=False,
    )
    engine.train_from_iterator(repeated(counts), trainer)
    return with_bert_specials(engine)


def word_piece_file(vocab, lowercase):
    tokens = list(vocab) if isinstance(vocab, (list, tuple)) else read(vocab, read_lines)
    ids = {token: i for i, token in enumerate(tokens)}
    if len(ids) < len(tokens):
        twice = next(token for i, token in enumerate(tokens) if ids[token] != i)
        raise ValueError(
            f"A vocabulary must hold each token once, one on each line; got {twice!r} twice."
        )
    if "[UNK]" not in ids:
        raise ValueError(
            "A WordPiece vocabulary must hold [UNK], which stands for unknown words; got "
            f"{len(tokens)} tokens without it."
        )
    model = models.WordPiece(vocab=ids, unk_token="[UNK]", continuing_subword_prefix=CONTINUES)
    return with_bert_specials(word_piece_engine(model, lowercase))


def word_piece_engine(model, lowercase):
    require_flag("lowercase", lowercase)
    engine = tokenizers.Tokenizer(model)
    engine.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    engine.decoder = decoders.WordPiece(prefix=CONTINUES)
    return engine


def with_bert_specials(engine):
    """The JSON of an engine, with those of BERT's special tokens that its vocabulary has."""
    ids = {token: engine.token_to_id(token) for token in BERT_SPECIALS}
    ids = {token: i for token, i in ids.items() if i is not None}
    if "[SEP]" in ids and "[CLS]" in ids:
        ends = ("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"])
        engine.post_processor = processors.BertProcessing(*ends)
    contents = json.loads(engine.to_str())
    contents["added_tokens"] = [special_token(token, i) for token, i in ids.items()]
    return json.dumps(contents, ensure_ascii=False, indent=2)


def alphabets(counts, size):
    """The `size` most frequent characters, and those with `##` that continue a word; sorted."""
    frequency = collections.Counter()
    for word, count in counts.items():
        for character in word:
            frequency[character] += count
    kept = sorted(frequency, key=lambda character: (-frequency[character], character))[:size]
    continuing = {character for word in counts for character in word[1:]}
    return sorted(kept), [CONTINUES + c for c in sorted(continuing.intersection(kept))]


def repeated(counts, chunk=10_000):
    """Each word as often as it was counted, in strings of bounded length."""
    for word, count in sorted(counts.items()):
        while count > 0:
            yield " ".join([word] * min(count, chunk))
            count -= chunk


def checked(texts):
    """`texts` one by one, files read; raises TypeError for what is no text, ValueError for none."""
    texts = [texts] if is_path(texts) else texts
    if isinstance(texts, (str, bytes)):
        refuse_name(texts)
        raise TypeError(
            f"Training texts must be an iterable of str; got one {type(texts).__name__}."
        )
    require_several("texts", texts, "texts or paths of files")
    empty = True
    for position, text in enumerate(texts):
        if position == 0:
            refuse_name(text)
        if is_path(text):
            text = read_text(text)
        if not isinstance(text, str):
            raise TypeError(
                f"Training texts must be str; got {type(text).__name__} at position {position}."
            )
        empty = empty and not text.strip()
        yield text
    if empty:
        raise ValueError(
            "Training a tokenizer needs text; got none. Check that the files were read."
        )


def special_token(token, token_id):
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": token, **flags, "special": True}


def read(path, reader):
    path = file_path(path, "A vocabulary or its merges, if no list,")
    if not path.is_file():
        raise FileNotFoundError(f"No tokenizer file at {str(path)!r}.")
    return reader(path)
