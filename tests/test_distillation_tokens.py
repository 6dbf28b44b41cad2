"""Teachers and students with other tokenizers, and what does not fit together."""

import keras
import numpy as np
import pytest
from zoo.training.distillation import (
    Distiller,
    FirstStates,
    HiddenCosine,
    HiddenStates,
    OwnLoss,
    SentenceVectors,
    SoftTargets,
    copy_layers,
    distilbert,
    hinton,
    minilm,
    prune_vocabulary,
    sequence_targets,
    tinybert,
)
from zoo.training.distillation.alignment import AlignedBatches, Aligner, Spelling, meetings

import zoo
from tests.distilled import LABELS, PARTS, Y, classifier, log_softmax, losses_of
from tests.models import TEXTS, tiny_backbone, tiny_gpt, tiny_lstm, tokenizer, word_pieces
from tests.models import with_weights as weighted
from zoo.tokenizers import BytePairTokenizer


def pruned():
    return prune_vocabulary(word_pieces(), TEXTS, 100)


def classifier_of(words, num_layers=2, **arguments):
    arguments = {"num_heads": 2, "hidden_dim": 16, "max_length": 32, "dropout": 0.0, **arguments}
    backbone = zoo.models.BERT(vocab_size=words.vocab_size, num_layers=num_layers, **arguments)
    return weighted(zoo.TextClassifier(backbone, words, LABELS, pooling="mean"))


@pytest.mark.backend_free
def test_a_pruned_vocabulary_spells_the_same_words():
    words = pruned()
    assert words.vocab_size == 100
    assert words.special_ids.keys() == word_pieces().special_ids.keys()
    for text in TEXTS[:2]:
        full = word_pieces().encode(text)
        assert words.unknown_id not in words.encode(text)
        assert words.decode(words.encode(text)) == word_pieces().decode(full)
    assert all(word_pieces().token_to_id(words.id_to_token(i)) is not None for i in range(100))
    with pytest.raises(ValueError, match=r"vocab_size must be from 6.* to 148; got 10"):
        prune_vocabulary(word_pieces(), TEXTS, 10)
    with pytest.raises(ValueError, match=r"Only a WordPiece vocabulary .* got BPE"):
        prune_vocabulary(tokenizer(), TEXTS, 100)


@pytest.mark.backend_free
@pytest.mark.parametrize("name", ["pruned", "bytes"])
def test_a_unit_is_the_same_piece_of_text_for_both(name):
    mine = pruned() if name == "pruned" else tokenizer()
    spelled, theirs = Spelling(mine), word_pieces()
    ids = mine.encode("the sea was calm and nobody spoke")
    text, ends = spelled(ids)
    found, offsets = theirs.encode_with_offsets(text)
    ours, others, count = meetings(text, ends, [end for _, end in offsets])
    assert count > 5
    assert len(ours) == len(ids)
    assert len(others) == len(found)
    starts = [0, *ends[:-1]]
    for unit in range(1, count + 1):
        own = "".join(text[a:b] for a, b, u in zip(starts, ends, ours, strict=True) if u == unit)
        other = [text[a:b] for (a, b), u in zip(offsets, others, strict=True) if u == unit]
        assert own.replace(" ", "") == "".join(other).replace(" ", "")
        assert other


@pytest.mark.backend_free
def test_the_teacher_reads_what_stands_behind_the_masks():
    student = zoo.MaskedLM(backbone_of(pruned()), pruned())
    align = Aligner(student, zoo.MaskedLM(tiny_backbone(), word_pieces()))
    batches = student.batches(list(TEXTS), 4, 0, is_fixed=True)
    inputs, labels, weights = AlignedBatches(batches, align)[0]
    np.testing.assert_array_equal(inputs["student"]["token_ids"], batches[0][0]["token_ids"])
    taught, special = inputs["teacher"], word_pieces().special_ids
    for row, mask in zip(taught["token_ids"], taught["padding_mask"], strict=True):
        ids = row[mask].tolist()
        assert ids[0] == special["[CLS]"]
        assert special["[MASK]"] not in ids
    assert set(np.unique(inputs["units"])) >= set(range(1, inputs["units"].max() + 1))
    assert labels.shape == weights.shape


def backbone_of(words):
    return zoo.models.BERT(words.vocab_size, 1, 2, 16, max_length=32, dropout=0.0)


def test_one_tokenizer_written_twice_gives_the_losses_of_one():
    student, teacher = classifier(2, scale=0.2), classifier(2)
    losses = [HiddenStates(), HiddenCosine(), SentenceVectors(), FirstStates()]
    same = losses_of(Distiller(student, teacher, losses), PARTS)
    aligned = Distiller(student, teacher, losses)
    aligned._align = Aligner(student, teacher)  # each token is a piece of text by itself
    for name, value in losses_of(aligned, PARTS).items():
        assert value == pytest.approx(same[name], rel=1e-4), name


@pytest.mark.parametrize(
    "words", ["pruned", pytest.param("bytes", marks=pytest.mark.slow_to_compile)]
)
@pytest.mark.slow_to_compile
def test_a_student_of_another_vocabulary_learns_states_and_soft_targets(words):
    teacher = classifier(2)
    if words == "pruned":
        mine = pruned()
    else:
        mine = BytePairTokenizer.train(TEXTS, 300, ("<s>", "</s>", "<pad>"))
    student = classifier_of(mine)
    distiller = Distiller(student, teacher, [*hinton(hard=0.0), HiddenStates(), SentenceVectors()])
    distiller.compile(keras.optimizers.Adam(1e-2))
    before = losses_of(distiller, PARTS)
    log_q, log_p = (
        log_softmax(m.predict(PARTS, verbose=0).astype("float64") / 2) for m in (student, teacher)
    )
    nats = np.sum(np.exp(log_p) * (log_p - log_q), axis=-1)
    assert before["soft_targets"] == pytest.approx(4 * nats.mean(), rel=2e-4)
    distiller.fit(PARTS, epochs=15, verbose=0)
    after = losses_of(distiller, PARTS)
    for name in ("hidden_states", "sentence_vectors"):
        assert after[name] < 0.8 * before[name], name


def test_copied_rows_are_those_of_the_same_tokens():
    student, teacher = classifier_of(pruned()), classifier(2)
    copy_layers(teacher, student)
    ours, theirs = (
        keras.ops.convert_to_numpy(m.backbone.token_embedding.embeddings)
        for m in (student, teacher)
    )
    for token in ("the", "##e", "[CLS]"):
        mine, other = pruned().token_to_id(token), word_pieces().token_to_id(token)
        np.testing.assert_array_equal(ours[mine], theirs[other])


def masked():
    return zoo.MaskedLM(tiny_backbone(), word_pieces())


def numbers():
    return zoo.TextClassifier(tiny_backbone(), word_pieces(), ["x"], problem="regression")


BAD = {
    "temperature": (lambda: hinton(temperature=0), "temperature must be above 0; got 0"),
    "hard": (lambda: hinton(hard=1.5), "hard must be from 0 to 1; got 1.5"),
    "weight": (lambda: OwnLoss(0), "weight of own_loss must be above 0; got 0"),
    "vocabulary": (
        lambda: Distiller(classifier_of(pruned()), classifier(2), minilm()),
        "attention_relation compares token with token, .* need the same tokenizer",
    ),
    "vocabulary of logits": (
        lambda: Distiller(zoo.MaskedLM(backbone_of(pruned()), pruned()), masked(), distilbert()),
        "one vocabulary; the student has 100 tokens, the teacher 148",
    ),
    "no tokenizers": (
        lambda: Distiller(zoo.TextEmbedder(backbone_of(pruned())), masked(), [HiddenStates()]),
        "Without a tokenizer in both, .* the student has 100 tokens, the teacher 148",
    ),
    "layer": (
        lambda: Distiller(classifier(2), classifier(4), [HiddenStates([(3, 4)])]),
        r"The student has the layers 0 to 2, .* got 3 in \(3, 4\)",
    ),
    "layer of heads": (
        lambda: Distiller(classifier(2), classifier(4), minilm(teacher_layer=5)),
        r"The teacher has the layers 1 to 4, .* got 5",
    ),
    "heads": (
        lambda: Distiller(classifier(1), classifier(1, num_heads=4), tinybert()),
        "head by head, .* the student has 2, the teacher 4",
    ),
    "heads of relations": (
        lambda: Distiller(classifier(1), classifier(1, num_heads=4), minilm(num_heads=3)),
        "num_heads must divide the 16 that the student's heads have together; got 3",
    ),
    "task": (
        lambda: Distiller(classifier(1), masked(), hinton()),
        "a teacher of the student's task; the student is a TextClassifier, the teacher a MaskedLM",
    ),
    "embedder": (
        lambda: Distiller(*(zoo.TextEmbedder(tiny_backbone()) for _ in "ab"), SoftTargets()),
        "gives vectors and no logits.* Use SentenceVectors",
    ),
    "numbers": (
        lambda: Distiller(*(numbers() for _ in "ab"), hinton()),
        "Soft targets are of labels, and a model of plain numbers has none",
    ),
    "labels": (
        lambda: Distiller(
            classifier(1), zoo.TextClassifier(tiny_backbone(), word_pieces(), ["x", "y"]), hinton()
        ),
        r"the student's are \('a', 'b'\), the teacher's \('x', 'y'\)",
    ),
    "recurrent": (
        lambda: Distiller(tiny_gpt(), tiny_lstm(), [HiddenStates()]),
        "the teacher, a LSTM, has no such stack; use soft targets",
    ),
    "itself": (
        lambda: (lambda one: Distiller(one, one, hinton()))(classifier(1)),
        "a model cannot teach itself",
    ),
    "no teacher's loss": (
        lambda: Distiller(classifier(1), classifier(1), [OwnLoss()]),
        "a loss that the teacher has a part in",
    ),
    "names": (
        lambda: Distiller(classifier(1), classifier(1), [HiddenStates(), HiddenStates()]),
        "a name of its own; got hidden_states, hidden_states",
    ),
    "ids": (
        lambda: Distiller(classifier_of(pruned()), classifier(1), [HiddenStates()]).fit(
            np.ones((2, 5), "int32")
        ),
        "the teacher reads text: pass texts, not token ids",
    ),
    "weights alone": (
        lambda: Distiller(classifier(1), classifier(1), [HiddenStates()]).fit(
            PARTS, sample_weight=[1, 1, 1, 1]
        ),
        "Weights go with labels",
    ),
    "no labels": (
        lambda: Distiller(classifier(1), classifier(1), hinton()).fit(PARTS),
        "label",
    ),
    "loss": (
        lambda: Distiller(classifier(1), classifier(1), hinton()).compile("adam", loss="mse"),
        "compile takes no loss",
    ),
    "copied layers": (
        lambda: copy_layers(classifier(2), classifier(1), [2]),
        r"from 0 to 1, for each of the student's 1; got \[2\]",
    ),
    "copied widths": (
        lambda: copy_layers(classifier(1), classifier(1, 8)),
        r"layers are copied between models of one width",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_fit_is_refused_in_a_sentence(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_no_task_or_no_loss_is_refused():
    with pytest.raises(TypeError, match=r"The teacher must be a task .* got str"):
        Distiller(classifier(1), "bert-small", hinton())
    with pytest.raises(TypeError, match=r"losses must be DistillationLoss objects"):
        Distiller(classifier(1), classifier(1), ["mse"])
    with pytest.raises(TypeError, match=r"a zoo.Seq2SeqLM; got TextClassifier"):
        sequence_targets(classifier(1), PARTS)
    with pytest.raises(NotImplementedError, match=r"zoo.save\(student"):
        Distiller(classifier(1), classifier(1), hinton()).get_config()


@pytest.mark.slow_to_compile
def test_labels_may_come_where_none_are_needed():
    distiller = Distiller(classifier(1), classifier(1, scale=0.2), hinton(hard=0.0))
    assert losses_of(distiller, PARTS, Y) == pytest.approx(losses_of(distiller, PARTS), rel=1e-5)
