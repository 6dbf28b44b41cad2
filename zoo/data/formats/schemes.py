"""The ways in which tags of words mark spans, and their conversion to the one that is used here.

Ramshaw and Marcus, 1995, https://arxiv.org/abs/cmp-lg/9505040 (IOB1); Tjong Kim Sang and Veenstra,
1999, https://arxiv.org/abs/cs/9907006 (IOB2, IOBES); Ratinov and Roth, 2009 (BILOU).
"""

import difflib
import re

# For each letter: whether a span goes on from the word before, and whether it ends here.
GOES_ON = {"B": False, "S": False, "U": False, "I": True, "M": True, "E": True, "L": True}
ENDS = frozenset("SUEL")
SCHEMES = {
    "iob1": "IB",  # B only between two spans of one label
    "iob2": "BI",
    "bio": "BI",
    "iobes": "BIES",
    "bioes": "BIES",
    "bilou": "BILU",
    "bmes": "BMES",
}
SPAN_TAG = re.compile(r"([BIESLUM])-(.+)")


def to_iob2(sentences, scheme=None, source="The tags"):
    """Tags of spans as IOB2: `B-x` starts a span, `I-x` goes on with it, `O` is outside.

    Whatever the scheme, a word that should go on with a span where there is none of its label, or
    where the last one has ended, starts one, as CoNLL's evaluation reads it. In IOB1 that is how
    spans start.

    Args:
        sentences: lists of str, a tag for each word.
        scheme: one of `SCHEMES`; None to recognise it. What belongs to none, such as parts of
            speech, is then left as it is.
        source: what errors call the sentences.

    Returns:
        A list of lists of str.

    Raises:
        ValueError: no such scheme, or a tag that is none of it.
    """
    if scheme is None:
        return [converted(tags) for tags in sentences] if is_known(sentences) else sentences
    if not isinstance(scheme, str) or scheme not in SCHEMES:
        close = difflib.get_close_matches(str(scheme).lower(), SCHEMES, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"scheme must be one of {', '.join(SCHEMES)}; got {scheme!r}.{meant}")
    for number, tags in enumerate(sentences):
        for tag in tags:
            found = SPAN_TAG.fullmatch(tag)
            if tag != "O" and not (found and found[1] in SCHEMES[scheme]):
                letters = " or ".join(f"'{letter}-label'" for letter in SCHEMES[scheme])
                raise ValueError(
                    f"{source}: tags of {scheme} must be 'O' or {letters}; got {tag!r} in sentence "
                    f"{number}."
                )
    return [converted(tags) for tags in sentences]


def is_known(sentences):
    """Whether all tags together could be of one of the schemes, and mark something."""
    tags = {tag for tags in sentences for tag in tags} - {"O"}
    letters = {found[1] if (found := SPAN_TAG.fullmatch(tag)) else "" for tag in tags}
    return bool(letters) and any(letters <= set(known) for known in SCHEMES.values())


def converted(tags):
    """The tags of one sentence as IOB2."""
    result, running = [], None  # the label of the span that may go on
    for tag in tags:
        if tag == "O":
            result.append(tag)
            running = None
            continue
        letter, label = tag[0], tag[2:]
        result.append(f"{'I' if GOES_ON[letter] and label == running else 'B'}-{label}")
        running = None if letter in ENDS else label
    return result
