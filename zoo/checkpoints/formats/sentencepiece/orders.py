"""SentencePiece models whose pieces others have put in an order of their own.

Each function gives a `Model` whose pieces are in the order of the ids.
"""

import re

from zoo.checkpoints.formats.sentencepiece.model import (
    CONTROL,
    ELSEWHERE,
    NORMAL,
    UNKNOWN,
    WORD_OF_ITS_OWN,
    Piece,
)

# fmt: off
LANGUAGES = (
    "ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN",
    "it_IT", "ja_XX", "kk_KZ", "ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO",
    "ru_RU", "si_LK", "tr_TR", "vi_VN", "zh_CN",
)
MORE_LANGUAGES = (  # of mBART-50
    "af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE", "km_KH", "mk_MK",
    "ml_IN", "mn_MN", "mr_IN", "pl_PL", "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN", "te_IN",
    "th_TH", "tl_XX", "uk_UA", "ur_PK", "xh_ZA", "gl_ES", "sl_SI",
)
# fmt: on
FAIRSEQ = (Piece("<s>", 0.0, CONTROL), Piece("<pad>", 0.0, CONTROL), Piece("</s>", 0.0, CONTROL))
UNKNOWN_PENALTY = 10.0  # of SentencePiece: so much below the worst piece is what is none
SPECIAL = {"</s>": CONTROL, "<s>": CONTROL, "<pad>": CONTROL, "<unk>": UNKNOWN}


def with_extra_ids(model, count=100):
    """T5's: after the pieces `count` sentinels, which stand for spans; the last comes first."""
    sentinels = [Piece(f"<extra_id_{i}>", 0.0, CONTROL) for i in reversed(range(count))]
    return model._replace(pieces=[*model.pieces, *sentinels])


def in_fairseq_order(model, languages=()):
    """XLM-R's and mBART's: `<s> <pad> </s> <unk>`, the pieces, languages, `<mask>`.

    Args:
        model: a `Model` whose first pieces are `<unk>`, `<s>` and `</s>`.
        languages: names of languages.

    Raises:
        ValueError: if they are not.
    """
    first = [piece.text for piece in model.pieces[:3]]
    if first != ["<unk>", "<s>", "</s>"] or model.pieces[0].type != UNKNOWN:
        raise ValueError(f"it must begin with the pieces <unk>, <s> and </s>; got {first}")
    control = [Piece(name, 0.0, CONTROL) for name in (*languages, "<mask>")]
    pieces = [*FAIRSEQ, model.pieces[0], *model.pieces[3:], *control]
    roles = {"start": 0, "padding": 1, "stop": 2, "unknown": 3}
    return model._replace(pieces=pieces, roles=roles)


def on_vocabulary(model, vocabulary):
    """Marian's: a model of one language over a vocabulary of two.

    What the model cannot find in its language, a single character that the other one has becomes
    that character; several such in a row are one unknown token.

    Args:
        model: a Unigram `Model`.
        vocabulary: `{token: id}`, the ids from 0 on.

    Raises:
        ValueError: if there is no `<unk>` in the vocabulary, or ids are left out.
    """
    if "<unk>" not in vocabulary or sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise ValueError("its tokens must have the ids 0, 1, 2 and so on, one of them <unk>")
    own = {piece.text: piece for piece in model.pieces if piece.type not in (CONTROL, UNKNOWN)}
    worst = min((piece.score for piece in own.values()), default=0.0) - UNKNOWN_PENALTY

    def piece_of(text):
        if text in SPECIAL:
            return Piece(text, 0.0, SPECIAL[text])
        if text in own:
            return own[text]
        if re.fullmatch(r">>[^<>]+<<", text):  # a language, said before a text
            return Piece(text, 0.0, WORD_OF_ITS_OWN)
        return Piece(text, worst, NORMAL) if len(text) == 1 else Piece(text, 0.0, ELSEWHERE)

    pieces = [piece_of(text) for text in sorted(vocabulary, key=vocabulary.get)]
    ids = {"stop": "</s>", "padding": "<pad>", "unknown": "<unk>"}
    roles = {role: vocabulary[text] for role, text in ids.items() if text in vocabulary}
    known = "".join(sorted({character for text in own for character in text}))
    return model._replace(pieces=pieces, roles=roles, alphabet=known)
