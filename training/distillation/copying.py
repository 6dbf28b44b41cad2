"""What a student starts from: layers of its teacher, and the tokens that texts need most."""

import collections
import json
import re

import numpy as np
from keras import ops

from zoo.tokenizers import WordPieceTokenizer

BLOCK = re.compile(r"^(.*_)(\d+)(/.*)$")  # "block_3/attention/qkv/kernel"
SEGMENTS, POSITIONS = "segment_embedding/embeddings", "position_embedding/embeddings"


def copy_layers(teacher, student, layers=None):
    """Give a student every so-many-th block of its teacher, the embeddings, and heads that fit.

    Sanh et al., 2019 (DistilBERT), section 3, https://arxiv.org/abs/1910.01108. Shorter tables of
    positions get the first rows. A student without segments gets the first segment's vector added
    to its positions, which is the same. Tokens are told by how they are spelled: those that the
    teacher does not have keep what they start from.

    Args:
        teacher, student: tasks of one width, with blocks of one kind.
        layers: the number of the teacher's block, from 0 on, for each of the student's; None for
            every so-many-th, the first among them.

    Returns:
        The layers that were taken, a list of ints.

    Raises:
        ValueError: blocks that do not exist, or do not fit.
    """
    depth, others = len(student.backbone.blocks), len(teacher.backbone.blocks)
    if layers is None:
        layers = [i * others // depth for i in range(depth)]
    layers = list(layers)
    if len(layers) != depth or not all(0 <= layer < others for layer in layers):
        raise ValueError(
            f"layers must name a block of the teacher, from 0 to {others - 1}, for each of the "
            f"student's {depth}; got {layers}."
        )
    theirs = {v.path: v for v in teacher.weights}
    if type(student) is not type(teacher):  # their heads mean something else
        theirs = {v.path: v for v in teacher.backbone.weights}
    found = {}
    for variable in student.weights:
        path = source_of(variable.path, layers)
        if path in theirs:
            found[variable.path] = ops.convert_to_numpy(theirs[path])
    if POSITIONS in found and SEGMENTS in theirs and not has(student, SEGMENTS):
        found[POSITIONS] = found[POSITIONS] + ops.convert_to_numpy(theirs[SEGMENTS])[0]
    values = {v.path: fitted(v, found, student, teacher) for v in student.weights}
    for variable in student.weights:  # all of them fit
        if values[variable.path] is not None:
            variable.assign(values[variable.path])
    missing = [v.path for v in student.backbone.weights if values[v.path] is None]
    if missing:
        raise ValueError(
            f"Blocks of a {type(teacher.backbone).__name__} cannot be copied into a "
            f"{type(student.backbone).__name__}: there is nothing for {missing[0]}."
        )
    return layers


def source_of(path, layers):
    """The name of the teacher's weight for one of the student's."""
    match = BLOCK.match(path)
    if match is None or match[1] != "block_":
        return path
    return f"block_{layers[int(match[2])]}{match[3]}"


def has(task, path):
    return any(v.path == path for v in task.weights)


def fitted(variable, found, student, teacher):
    """What a weight of the student gets: of a table the rows that it has; None for nothing."""
    array = found.get(variable.path)
    if array is None:
        return None
    own = ops.convert_to_numpy(variable)
    sizes = student.backbone.vocab_size, teacher.backbone.vocab_size
    is_of_tokens = variable.path in ("token_embedding/embeddings", "masked_lm_bias/bias")
    if is_of_tokens and student.tokenizer is not None and teacher.tokenizer is not None:
        return with_rows(own, array, student.tokenizer, teacher.tokenizer)
    if variable.path == POSITIONS and len(array) > len(own):
        array = array[: len(own)]
    if array.shape != own.shape:
        hint = " Their vocabularies differ." if is_of_tokens and sizes[0] != sizes[1] else ""
        raise ValueError(
            f"The student's {variable.path} has the shape {own.shape}, the teacher's "
            f"{array.shape}: layers are copied between models of one width.{hint}"
        )
    return array


def with_rows(own, array, tokenizer, other):
    """A table of one vocabulary, with the rows of another for the tokens of both."""
    if own.shape[1:] != array.shape[1:]:
        raise ValueError(
            f"The student is {own.shape[1:]} wide, the teacher {array.shape[1:]}: layers are "
            "copied between models of one width."
        )
    table = np.array(own)
    for token_id in range(tokenizer.vocab_size):
        place = other.token_to_id(tokenizer.id_to_token(token_id))
        if place is not None:
            table[token_id] = array[place]
    return table


def prune_vocabulary(tokenizer, texts, vocab_size):
    """A WordPiece tokenizer of the tokens that texts need most.

    Special tokens stay, with all single characters that occur in the texts, so that every word of
    theirs can be spelled; then come the most frequent tokens. A word whose token is gone is spelled
    in more pieces.

    Args:
        tokenizer: a `zoo.tokenizers.Tokenizer` of WordPiece.
        texts: an iterable of strings.
        vocab_size: int.

    Returns:
        A `zoo.tokenizers.WordPieceTokenizer`.

    Raises:
        ValueError: another kind of tokenizer, or a `vocab_size` too small for the characters, or
            larger than the vocabulary.
    """
    contents = json.loads(tokenizer.to_json())
    if tokenizer.kind != "WordPiece":
        raise ValueError(f"Only a WordPiece vocabulary can be pruned so; got {tokenizer.kind}.")
    counts = collections.Counter()
    for ids in map(tokenizer.encode, texts):
        counts.update(ids)
    spelled = {token_id: tokenizer.id_to_token(token_id) for token_id in counts}
    special = list(tokenizer.special_ids.values())
    letters = {letter for token in spelled.values() for letter in token.removeprefix("##")}
    alphabet = [tokenizer.token_to_id(form) for one in letters for form in (one, f"##{one}")]
    kept = dict.fromkeys([*sorted(special), *sorted(i for i in alphabet if i is not None)])
    if not len(kept) <= vocab_size <= tokenizer.vocab_size:
        raise ValueError(
            f"vocab_size must be from {len(kept)}, which special tokens and characters take, to "
            f"{tokenizer.vocab_size}; got {vocab_size}."
        )
    by_count = sorted(counts, key=lambda token_id: (-counts[token_id], token_id))
    rest = [i for i in range(tokenizer.vocab_size) if i not in counts]
    for token_id in [*by_count, *rest]:
        if len(kept) == vocab_size:
            break
        kept.setdefault(token_id)
    tokens = [tokenizer.id_to_token(token_id) for token_id in sorted(kept)]
    lowercase = bool((contents.get("normalizer") or {}).get("lowercase", True))
    return WordPieceTokenizer.from_vocab(tokens, lowercase)
