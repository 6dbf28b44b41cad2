"""Changes of texts, and batches that draw them anew in each epoch."""

import collections

import numpy as np
import pytest
from zoo.training.augmentation import (
    Augmented,
    BackTranslation,
    EasyChanges,
    MaskedSubstitution,
    neighbours,
)

import zoo
from tests.distilled import PARTS, Y, classifier
from tests.models import TEXTS, tiny_backbone, tiny_transformer, with_weights, word_pieces

WORDS = ["calm", "grey", "late", "sea"]
SIMILAR = {"calm": ["still", "quiet"], "sea": ["ocean"]}
LONG = "it was the best of times and the sea was calm and the sky was grey and nobody spoke"


def rng(seed=0):
    return np.random.default_rng(seed)


def subsequence(words, of):
    rest = iter(of)
    return all(word in rest for word in words)


@pytest.mark.backend_free
@pytest.mark.parametrize("name", ["swap", "delete", "replace", "insert"])
def test_what_each_easy_change_keeps(name):
    easy = EasyChanges(rate=0.2, similar=SIMILAR)
    names = ["swap", "delete", "replace", "insert"]
    easy.changes = [easy.changes[names.index(name)]]
    before = LONG.split()
    for seed in range(20):
        (changed,) = easy([LONG], rng(seed))
        after = changed.split()
        new = collections.Counter(after) - collections.Counter(before)
        if name == "swap":
            assert sorted(after) == sorted(before)
        elif name == "delete":
            assert subsequence(after, before)
            assert len(after) == len(before) - 4  # a fifth of 19
        elif name == "replace":
            assert len(after) == len(before)
            pairs = zip(before, after, strict=True)
            changes = [(old, word) for old, word in pairs if old != word]
            assert len(changes) == 2  # that have a similar word
            assert all(word in SIMILAR[old] for old, word in changes)
        else:
            assert subsequence(before, after)
            assert len(after) == len(before) + 4
            assert set(new) <= {"still", "quiet", "ocean"}


@pytest.mark.backend_free
def test_easy_changes_are_drawn_and_leave_something():
    easy = EasyChanges()
    texts = [*PARTS, "alone", "", "two words"]
    assert easy(texts, rng(1)) == easy(texts, rng(1))
    drawn = {tuple(easy(texts, rng(seed))) for seed in range(10)}
    assert len(drawn) > 5
    for changed in drawn:
        assert [bool(text) for text in changed] == [bool(text) for text in texts]
        assert changed[4] == "alone"


@pytest.mark.backend_free
def test_neighbours_are_the_nearest_words():
    vectors = np.array([[1, 0], [0, 1], [0.1, 1], [1, 0.2]])
    assert neighbours(WORDS, vectors, 1) == {
        "calm": ["sea"],
        "grey": ["late"],
        "late": ["grey"],
        "sea": ["calm"],
    }
    with pytest.raises(ValueError, match="got 4 words and 3 vectors"):
        neighbours(WORDS, vectors[:3])


def test_each_epoch_draws_texts_of_its_own_and_labels_stay_with_them():
    model = classifier(1)

    def reverse(texts, rng):
        return [" ".join(reversed(text.split())) for text in texts]

    batches = Augmented(model, PARTS, Y, reverse, share=0.5, batch_size=4, seed=1)
    forms = [model.rows(texts).inputs["token_ids"] for texts in (PARTS, reverse(PARTS, None))]
    seen = set()
    for epoch in range(8):
        inputs, labels = batches.in_epoch(epoch, 0)
        for ids, mask, label in zip(
            inputs["token_ids"], inputs["padding_mask"], labels, strict=True
        ):
            row = ids[mask].tolist()
            (found,) = {
                (place, is_changed)
                for place in range(4)
                for is_changed, rows in enumerate(forms)
                if rows[place].tolist() == row and not (is_changed and place == 2)  # one word
            }
            assert model.labels[label] == Y[found[0]]
            seen.add(found)
    assert len(seen) == 7  # each as it is and reversed, but the one word
    model.fit(batches, epochs=2, verbose=0)


def test_a_text_comes_back_from_another_language():
    there, back = tiny_transformer(), tiny_transformer(scale=0.2)
    there.sampler = back.sampler = "greedy"
    change = BackTranslation(there, back, sampler="greedy")
    texts = ["a house", "", "a tree " * 60]
    changed = change(texts, rng())
    assert changed[1:] == texts[1:]  # nothing to read, and too much
    (foreign,) = there.generate(["a house"], sampler="greedy")
    expected = "a house"
    if 0 < len(back.encode([foreign])[0]) <= back.backbone.max_length - 2:
        written = back.generate([foreign], sampler="greedy")[0]
        expected = written if written.strip() else "a house"
    assert changed[0] == expected


def test_substitution_leaves_all_but_words_alone():
    model = with_weights(zoo.MaskedLM(tiny_backbone(), word_pieces()))
    change = MaskedSubstitution(model, rate=0.5, top_k=5)
    texts = [*PARTS, "The SEA, (was) calm!", "", TEXTS[0][:60]]
    changed = change(texts, rng())
    assert changed == change(texts, rng())
    assert changed != change(texts, rng(1))
    assert changed != texts
    for before, after in zip(texts, changed, strict=True):
        assert len(before.split()) == len(after.split())
        kept = [c for c in before if not c.isalpha()]
        assert [c for c in after if not c.isalpha()] == kept
    known = {form for form, is_word in zip(change.forms, change.is_word, strict=True) if is_word}
    for before, after in zip(PARTS, changed, strict=False):
        pairs = list(zip(before.split(), after.split(), strict=True))
        assert all(old == new or new in known for old, new in pairs)


def test_substitution_draws_by_the_models_probabilities():
    model = with_weights(zoo.MaskedLM(tiny_backbone(), word_pieces()))
    change = MaskedSubstitution(model, rate=0.01, top_k=1)  # the likeliest, for one word
    (changed,) = change(["it was late"], rng())
    words = zip(["it", "was", "late"], changed.split(), strict=True)
    ((place, old, new),) = [(i, a, b) for i, (a, b) in enumerate(words) if a != b]
    masked = ["it", "was", "late"]
    masked[place] = "[MASK]"
    filled = model.fill(" ".join(masked), top_k=word_pieces().vocab_size)
    known = {form for form, is_word in zip(change.forms, change.is_word, strict=True) if is_word}
    assert new == next(token for token, _ in filled if token in known and token != old)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EasyChanges(rate=0), "rate must be above 0 and below 1; got 0"),
        (lambda: Augmented(classifier(1), PARTS, Y, EasyChanges(), share=2), "share must be .* 2"),
        (
            lambda: Augmented(classifier(1), PARTS, Y, lambda texts, rng: [], share=1),
            "A change gives a text for each; got 0 for 4",
        ),
        (
            lambda: MaskedSubstitution(zoo.MaskedLM(tiny_backbone(), word_pieces()), top_k=500),
            r"whole words; lower top_k=500",
        ),
    ],
    ids=["rate", "share", "count", "top_k"],
)
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
