"""Scores of texts: cases worked out by hand, and what any such score must hold."""

import builtins
import math

import numpy as np
import pytest
from zoo.training import metrics

pytestmark = pytest.mark.backend_free

CAT = "the cat sat on the mat"


def test_perplexity_shares_the_same_nats():
    texts = ["to be or", "not\tto  be é\n"]  # 7 words; 8 bytes and 14
    nats = 14 * math.log(2)
    scores = metrics.perplexity(nats, 7, texts)
    assert scores == pytest.approx({"per_token": 4, "per_word": 4, "per_byte": 2 ** (14 / 22)})
    with_ends = metrics.perplexity(nats, 28, texts, count_lines=True)
    assert with_ends["per_word"] == pytest.approx(2 ** (14 / 8))
    assert with_ends["per_token"] == pytest.approx(math.sqrt(2))


def test_perplexity_takes_what_score_returns():
    texts = ["a b", "c"]
    nats, counts = np.array([1.5, 2.5], "float32"), np.array([3, 1], "int32")
    scores = metrics.perplexity(nats, counts, texts)
    assert scores == metrics.perplexity(4.0, 4, texts)
    assert [type(value) for value in scores.values()] == [float] * 3
    assert metrics.perplexity(0, 1, ["a"]) == {"per_token": 1, "per_word": 1, "per_byte": 1}
    assert metrics.perplexity(1e6, 1, ["a"])["per_token"] == math.inf


def test_perplexity_sums_in_double_precision():
    nats = np.full(10**6, 5.1, "float32")
    scores = metrics.perplexity(nats, len(nats), ["a " * 10**6])
    assert scores["per_word"] == pytest.approx(math.exp(np.float64(np.float32(5.1))), rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1.0, 2, ["a"]), ValueError, r"at least 0, as -log p is; their sum is -1\.0"),
        ((math.nan, 2, ["a"]), ValueError, r"Nats must be finite.*; their sum is nan"),
        ((1.0, 0, ["a"]), ValueError, r"at least one token and one word.*; got 0 and 1\."),
        ((1.0, 1, ["\n", " "]), ValueError, r"got 1 and 0\."),
        ((1.0, 1, "a text"), TypeError, r"Texts must be a list of texts; got the text 'a text'"),
        ((1.0, 1, [b"a"]), TypeError, r"Texts must be a list of texts; got bytes in it"),
    ],
    ids=["negative", "nan", "tokens", "words", "text", "bytes"],
)
def test_errors_of_perplexity(arguments, error, message):
    with pytest.raises(error, match=message):
        metrics.perplexity(*arguments)


def test_bleu_by_hand():
    scores = metrics.bleu([CAT], ["the cat sat on a mat"])
    # Of 6, 5, 4 and 3 n-grams 5, 3, 2 and 1 are right.
    assert scores["bleu"] == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert scores["signature"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert metrics.bleu([CAT], [CAT])["bleu"] == pytest.approx(100)
    assert metrics.bleu([CAT], ["dogs"])["bleu"] == 0
    short = metrics.bleu([CAT], ["the cat sat on"])  # all right, but 4 words for 6
    assert short["bleu"] == pytest.approx(100 * math.exp(1 - 6 / 4))


def test_bleu_counts_over_the_whole_set():
    scores = metrics.bleu([CAT, "a dog ran by"], ["the cat sat on a mat", "a dog ran by"])
    product = (9 / 10) * (6 / 8) * (4 / 6) * (2 / 4)
    assert scores["bleu"] == pytest.approx(100 * product**0.25)


def test_bleu_of_several_references_takes_the_best_of_each_n_gram():
    references = [[CAT, "a cat sat on a mat"], ["a dog ran by"]]  # as many as there are
    scores = metrics.bleu(references, ["the cat sat on a mat", "a dog ran by"])
    assert scores["bleu"] == pytest.approx(100)
    assert "nrefs:var" in scores["signature"]


def test_bleu_of_chinese_needs_its_tokenizer():
    references, predictions = ["我们今天去北京。"], ["我们昨天去北京。"]
    scores = metrics.bleu(references, predictions, tokenize="zh")
    product = (7 / 8) * (5 / 7) * (3 / 6) * (2 / 5)  # n-grams of characters
    assert scores["bleu"] == pytest.approx(100 * product**0.25)
    assert "tok:zh" in scores["signature"]


def test_chrf_by_hand():
    # Of 3, 2 and 1 n-grams of characters 2, 1 and 0 are right; there are no longer ones.
    scores = metrics.chrf(["a bc"], ["ab d"])
    assert scores["chrf"] == pytest.approx(100 * (2 / 3 + 1 / 2 + 0) / 3)
    assert metrics.chrf([CAT], [CAT])["chrf"] == pytest.approx(100)
    assert "nw:0" in scores["signature"]
    assert "nw:2" in metrics.chrf([CAT], [CAT], word_order=2)["signature"]
    # Recall counts more than precision: to say too much is better than too little.
    longer, shorter = metrics.chrf(["ab"], ["abab"]), metrics.chrf(["abab"], ["ab"])
    assert longer["chrf"] > shorter["chrf"]


def test_rouge_by_hand():
    scores = metrics.rouge([CAT], ["The cat on mat!"])
    # All 4 words of 6, 1 of 3 pairs of 5, and a subsequence of 4.
    assert scores == pytest.approx({"rouge1": 80, "rouge2": 25, "rougeL": 80})
    swapped = metrics.rouge(["b a"], ["a b"])
    assert swapped == pytest.approx({"rouge1": 100, "rouge2": 0, "rougeL": 50})


def test_rouge_averages_texts_and_takes_the_best_reference():
    references = [[CAT, "nothing alike"], ["a b"]]
    scores = metrics.rouge(references, [CAT, "c d"])
    assert scores == pytest.approx({"rouge1": 50, "rouge2": 50, "rougeL": 50})


def test_rouge_of_other_scripts_takes_a_function():
    references, predictions = ["我们去北京"], ["我们去上海"]
    with pytest.raises(ValueError, match=r"'我们去北京' of text 0 has none.*pass words=\.\.\."):
        metrics.rouge(references, predictions)
    scores = metrics.rouge(references, predictions, words=list)
    assert scores == pytest.approx({"rouge1": 60, "rouge2": 50, "rougeL": 60})


SCORES = [metrics.bleu, metrics.chrf, metrics.rouge]


@pytest.mark.parametrize("score", SCORES)
def test_scores_are_plain_numbers_and_strings(score):
    assert {type(value) for value in score([CAT], [CAT]).values()} <= {float, str}


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("references", "predictions", "error", "message"),
    [
        (["a"], ["a", "b"], ValueError, r"as many references as predictions.*; got 1 and 2\."),
        ([], [], ValueError, r"at least 1; got 0 and 0\."),
        (["a", []], ["a", "b"], ValueError, r"must have a reference; text 1 has none"),
        ("a", ["a"], TypeError, r"References must be a list of texts; got 'a'"),
        (["a"], "a", TypeError, r"Predictions must be a list of texts; got the text 'a'"),
        (["a"], [None], TypeError, r"Predictions must be a list of texts; got NoneType in it"),
        ([["a", 3]], ["a"], TypeError, r"The references of text 0 must be .* got int in it"),
    ],
    ids=["counts", "empty", "none", "text", "one_prediction", "no_text", "number"],
)
def test_errors_of_sides(score, references, predictions, error, message):
    with pytest.raises(error, match=message):
        score(references, predictions)


def test_an_unknown_tokenizer_is_refused():
    with pytest.raises(ValueError, match=r"tokenize must be one of .*'13a'.*; got 'french'"):
        metrics.bleu([CAT], [CAT], tokenize="french")


@pytest.mark.parametrize("score", SCORES)
def test_without_its_library_it_is_said_how_to_get_it(score, monkeypatch):
    find = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(("sacrebleu", "rouge_score")):
            raise ImportError(name)
        return find(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'not installed: pip install "keras-zoo\[eval\]"'):
        score([CAT], [CAT])
