"""Scores of texts: how likely they were, and how near they come to others."""

import numpy as np


def perplexity(nats, num_tokens, texts, count_lines=False):
    """Perplexity of texts per token, word and byte.

    `exp(nats / count)`: the same likelihood, shared among tokens, words or bytes. Only the last two
    can be compared between models with different vocabularies. The nats must be of the whole texts,
    each token's counted once.

        metrics.perplexity(*model.score(texts), texts)

    Args:
        nats: float, or an array that is summed: `-log p` of the texts.
        num_tokens: int, or an array that is summed: how many tokens the nats are of.
        texts: list of str, the texts. Words are what white space separates; bytes are UTF-8's.
        count_lines: bool, whether the end of a line is a word too, as in the figures that are
            published for Penn Treebank and WikiText.

    Returns:
        `{"per_token", "per_word", "per_byte"}`: floats of at least 1.

    Raises:
        TypeError: if `texts` are not a list of texts.
        ValueError: if nats are negative or not finite, or there is no token or no word.
    """
    texts = checked_texts(texts, "Texts")
    nats, num_tokens = float(np.sum(nats, dtype="float64")), int(np.sum(num_tokens))
    if not (np.isfinite(nats) and nats >= 0):
        raise ValueError(f"Nats must be finite and at least 0, as -log p is; their sum is {nats}.")
    num_words = sum(len(text.split()) + count_lines * text.count("\n") for text in texts)
    num_bytes = sum(len(text.encode()) for text in texts)
    if num_tokens < 1 or num_words < 1:
        raise ValueError(
            "There must be at least one token and one word to share the nats among; got "
            f"{num_tokens} and {num_words}."
        )
    counts = {"per_token": num_tokens, "per_word": num_words, "per_byte": num_bytes}
    with np.errstate(over="ignore"):  # to infinity
        return {name: float(np.exp(nats / count)) for name, count in counts.items()}


def bleu(references, predictions, tokenize="13a"):
    """BLEU of a whole set of translations, as `sacrebleu` computes it.

    Papineni et al., 2002, https://aclanthology.org/P02-1040; why the tokenization must be named
    with the score: Post, 2018, https://arxiv.org/abs/1804.08771.

    Args:
        references: list of str, or of lists of str where a text has several.
        predictions: list of str, detokenized text as the references are.
        tokenize: `"13a"` for languages that write spaces, `"zh"` for Chinese, `"char"`, `"intl"`
            or another of sacrebleu's.

    Returns:
        `{"bleu": float, "signature": str}`: from 0 to 100, and what to print with it.

    Raises:
        ImportError: without `sacrebleu`.
        TypeError: if one side is not a list of texts.
        ValueError: for sides of different or no length, a text without a reference, or a
            tokenization that sacrebleu does not have.
    """
    references, predictions = checked_sides(references, predictions)
    BLEU = sacrebleu().BLEU
    if tokenize not in BLEU.TOKENIZERS:
        raise ValueError(f"tokenize must be one of {sorted(BLEU.TOKENIZERS)}; got {tokenize!r}.")
    metric = BLEU(tokenize=tokenize)
    score = metric.corpus_score(predictions, in_columns(references)).score
    return {"bleu": float(score), "signature": str(metric.get_signature())}


def chrf(references, predictions, word_order=0):
    """The chrF of a whole set of translations: F2 of their characters' n-grams, by `sacrebleu`.

    Popović, 2015, https://aclanthology.org/W15-3049.

    Args:
        references: list of str, or of lists of str where a text has several.
        predictions: list of str.
        word_order: int, up to which length n-grams of words count too: 2 gives chrF++.

    Returns:
        `{"chrf": float, "signature": str}`: from 0 to 100, and what to print with it.

    Raises:
        ImportError: without `sacrebleu`.
        TypeError: if one side is not a list of texts.
        ValueError: for sides of different or no length, or a text without a reference.
    """
    references, predictions = checked_sides(references, predictions)
    metric = sacrebleu().CHRF(word_order=word_order)
    score = metric.corpus_score(predictions, in_columns(references)).score
    return {"chrf": float(score), "signature": str(metric.get_signature())}


def rouge(references, predictions, words=None):
    """ROUGE-1, ROUGE-2 and ROUGE-L of summaries, as `rouge-score` computes them.

    Lin, 2004, https://aclanthology.org/W04-1013: F1 of the words, of the pairs of words, and of
    the longest common subsequence of words, averaged over the texts. No stemming.

    Args:
        references: list of str, or of lists of str where a text has several: the best counts.
        predictions: list of str.
        words: a function from a text to the list of its words. None is ROUGE's own: lower case,
            and runs of ASCII letters and digits, nothing else; `str.split` or, for Chinese, `list`
            may suit other texts better.

    Returns:
        `{"rouge1", "rouge2", "rougeL"}`: floats from 0 to 100.

    Raises:
        ImportError: without `rouge-score`.
        TypeError: if one side is not a list of texts.
        ValueError: for sides of different or no length, a text without a reference, or a reference
            in which there are no words.
    """
    references, predictions = checked_sides(references, predictions)
    try:
        from rouge_score import rouge_scorer, tokenizers
    except ImportError as error:
        raise ImportError(
            "Scoring summaries needs rouge-score, which is not installed: "
            'pip install "keras-zoo[eval]".'
        ) from error
    tokenizer = tokenizers.DefaultTokenizer(use_stemmer=False) if words is None else Words(words)
    for number, texts in enumerate(references):
        wordless = [text for text in texts if not tokenizer.tokenize(text)]
        if wordless:
            raise ValueError(
                f"A reference must have a word; {wordless[0][:40]!r} of text {number} has none. "
                "ROUGE's own words are of ASCII letters and digits: pass words=... for others."
            )
    names = ["rouge1", "rouge2", "rougeL"]
    scorer = rouge_scorer.RougeScorer(names, tokenizer=tokenizer)
    scores = [
        scorer.score_multi(texts, prediction)
        for texts, prediction in zip(references, predictions, strict=True)
    ]
    return {
        name: 100 * float(np.mean([score[name].fmeasure for score in scores])) for name in names
    }


class Words:
    """A function from texts to words as what `rouge-score` calls a tokenizer."""

    def __init__(self, words):
        self.tokenize = words


def sacrebleu():
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise ImportError(
            "Scoring translations needs sacrebleu, which is not installed: "
            'pip install "keras-zoo[eval]".'
        ) from error
    return metrics


def checked_sides(references, predictions):
    """A list of references for each text, and the predictions, if they belong together."""
    predictions = checked_texts(predictions, "Predictions")
    if isinstance(references, str):
        raise TypeError(f"References must be a list of texts; got {references[:40]!r}.")
    references = [[texts] if isinstance(texts, str) else list(texts) for texts in references]
    if len(references) != len(predictions) or not references:
        raise ValueError(
            "There must be as many references as predictions, at least 1; got "
            f"{len(references)} and {len(predictions)}."
        )
    for number, texts in enumerate(references):
        if not texts:
            raise ValueError(f"Each text must have a reference; text {number} has none.")
        checked_texts(texts, f"The references of text {number}")
    return references, predictions


def checked_texts(texts, name):
    if isinstance(texts, str):
        raise TypeError(f"{name} must be a list of texts; got the text {texts[:40]!r}.")
    texts = list(texts)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{name} must be a list of texts; got {type(text).__name__} in it.")
    return texts


def in_columns(references):
    """The first reference of each text, the second of each, and so on; None for those without."""
    most = max(map(len, references))
    return [[texts[i] if i < len(texts) else None for texts in references] for i in range(most)]
