"""T5, BART, mBART, Marian and Pegasus: the numbers and the texts of transformers, both ways."""

import numpy as np
import pytest
from keras import ops

import zoo
from tests.models import tiny_transformer
from zoo.generation import Beam, Request

pytestmark = pytest.mark.slow_to_compile

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

VOCAB = 51
SIZES = {
    "vocab_size": VOCAB,
    "d_model": 12,
    "max_position_embeddings": 40,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_ffn_dim": 20,
    "decoder_ffn_dim": 20,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 3,
    "forced_eos_token_id": None,
}
BART = {**SIZES, "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
MARIAN = {**SIZES, "eos_token_id": 0, "pad_token_id": 50, "decoder_start_token_id": 50}
T5 = {
    "vocab_size": VOCAB,
    "d_model": 12,
    "d_kv": 5,
    "d_ff": 20,
    "num_heads": 3,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "decoder_start_token_id": 0,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 10,
}
MODELS = {
    "t5": ("T5", T5),
    "t5 1.1": ("T5", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "bart": ("Bart", {**BART, "decoder_start_token_id": 2, "forced_bos_token_id": 0}),
    "mbart": ("MBart", {**BART, "decoder_start_token_id": 7, "scale_embedding": True}),
    "marian": ("MarianMT", {**MARIAN, "activation_function": "swish", "scale_embedding": True}),
    "marian forbids": ("MarianMT", {**MARIAN, "scale_embedding": True}),
    "pegasus": ("Pegasus", {**SIZES, "eos_token_id": 1, "activation_function": "relu"}),
}
IDS = np.random.default_rng(0).integers(3, VOCAB - 1, (2, 9)).astype("int32")
MASK = np.arange(9) < np.array([[9], [6]])
TARGETS = np.random.default_rng(1).integers(3, VOCAB - 1, (2, 7)).astype("int32")


def make(name):
    """A random model of theirs whose numbers are large enough to tell things apart."""
    kind, config = MODELS[name]
    suffix = "Model" if kind == "MarianMT" else "ForConditionalGeneration"
    cls = getattr(transformers, kind + suffix)
    model = cls(cls.config_class(**config))
    torch.manual_seed(0)
    if name == "t5 1.1":
        model.lm_head.weight = torch.nn.Parameter(torch.zeros(VOCAB, 12))
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "embed_positions" not in key or weight.requires_grad:
                is_gain = "norm" in key and key.endswith("weight")
                weight.normal_(float(is_gain), 0.1 if key.endswith("bias") else 0.5)
        if kind == "MarianMT":
            model.final_logits_bias.normal_(0, 0.2)
    if name == "marian forbids":
        model.generation_config.bad_words_ids = [[50], [12]]
    return model.eval()


@pytest.fixture(scope="module", params=MODELS)
def pair(request, tmp_path_factory):
    """A model of theirs, and ours of its folder."""
    folder = tmp_path_factory.mktemp(request.param.replace(" ", "_"))
    theirs = make(request.param)
    theirs.save_pretrained(folder)
    return theirs, zoo.load(folder)


def their_logits(model):
    x = {"input_ids": IDS, "attention_mask": MASK.astype("int64"), "decoder_input_ids": TARGETS}
    with torch.no_grad():
        return model(**{k: torch.tensor(v).long() for k, v in x.items()}).logits.numpy()


def our_logits(model):
    x = {"token_ids": IDS, "padding_mask": MASK, "decoder_token_ids": TARGETS}
    return ops.convert_to_numpy(ops.stop_gradient(model(x)))


SOURCES = [[5, 9, 13], [22, 8, 40, 11, 17, 30], [3], [44, 45, 46, 47]]


def generated(theirs, ours, **how):
    """What each continues the sources with, and the scores of a beam."""
    eos, forced = theirs.generation_config.eos_token_id, ours.special_tokens.num_given
    for source in SOURCES:
        row = torch.tensor([ours.pair_format.source_row(source)])
        out = theirs.generate(
            row,
            max_new_tokens=12 + forced,
            return_dict_in_generate=True,
            **how,
        )
        for sequence in out.sequences:
            ids = sequence.tolist()[1 + forced :]
            yield ids[: ids.index(eos)] if eos in ids else ids, out


def test_logits_are_theirs(pair):
    theirs, ours = pair
    expected = their_logits(theirs)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(our_logits(ours), expected, atol=1e-4)


@pytest.mark.slow_to_compile
def test_greedy_ids_are_theirs(pair):
    theirs, ours = pair
    expected = [ids for ids, _ in generated(theirs, ours)]
    assert len({tuple(ids) for ids in expected}) > 1
    assert ours.generate(SOURCES, max_new_tokens=12) == expected
    assert not {i for ids in expected for i in ids} & set(ours.special_tokens.never)


@pytest.mark.slow_to_compile
def test_the_best_of_a_beam_and_its_score_are_theirs(pair):
    theirs, ours = pair
    how = {"num_beams": 4, "length_penalty": 0.0, "early_stopping": False, "output_scores": True}
    expected = list(generated(theirs, ours, **how))
    request = Request.make(
        ours, max_new_tokens=12, sampler=Beam(4, 0.0), seed=0, stop=None, others={}, num_return=1
    )
    rows = [ours.pair_format.source_row(source) for source in SOURCES]
    decoding = ours.decoder.start(rows, request, request.seeds(len(rows)))
    decoding.advance(12)
    found = [hypothesis for (hypothesis,) in request.sampler.hypotheses(decoding, request)]
    stop = ours.special_tokens.stop
    assert [[i for i in ids if i not in stop] for ids, _ in found] == [ids for ids, _ in expected]
    if not ours.special_tokens.never:  # theirs counts what may not be generated, too
        scores = [out.sequences_scores[0].item() for _, out in expected]
        np.testing.assert_allclose([score for _, score in found], scores, rtol=1e-4)


def test_a_folder_of_ours_is_opened_there(pair, tmp_path):
    theirs, ours = pair
    zoo.save(ours, tmp_path / "mine", format="transformers")
    again, report = type(theirs).from_pretrained(tmp_path / "mine", output_loading_info=True)
    assert not any(report.values()), report
    np.testing.assert_allclose(their_logits(again.eval()), our_logits(ours), atol=1e-4)
    expected = [ids for ids, _ in generated(theirs, ours)]
    assert [ids for ids, _ in generated(again, ours)] == expected
    back = zoo.load(tmp_path / "mine")
    assert back.backbone.get_config() | {"name": ""} == ours.backbone.get_config() | {"name": ""}
    assert back.special_tokens == ours.special_tokens
    np.testing.assert_array_equal(our_logits(back), our_logits(ours))


@pytest.mark.parametrize(
    ("pre_norm", "cls"), [(True, "PegasusForConditionalGeneration"), (False, "MarianMTModel")]
)
def test_our_transformer_opens_there(pre_norm, cls, tmp_path):
    """With its sines and cosines in turn, and theirs one after the other."""
    how = {"pre_norm": pre_norm, "norm_epsilon": 1e-5, "num_layers": 2}
    special = {"special_tokens": {"start": 1, "stop": 2, "padding": 0}}
    ours = tiny_transformer(with_tokenizer=False, vocab_size=VOCAB, task=special, **how)
    zoo.save(ours, tmp_path / "mine", format="transformers")
    theirs, report = getattr(transformers, cls).from_pretrained(
        tmp_path / "mine", output_loading_info=True
    )
    assert not any(report.values()), report
    np.testing.assert_allclose(their_logits(theirs.eval()), our_logits(ours), atol=1e-4)
    back = zoo.load(tmp_path / "mine")
    assert isinstance(back.backbone, zoo.models.Marian)
    np.testing.assert_allclose(our_logits(back), our_logits(ours), atol=1e-5)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"position": "learned"}, "its position must be 'sinusoidal'; got 'learned'"),
        ({"tied": False}, "its tied must be True; got False"),
        ({"norm_epsilon": 1e-3}, "its norm_epsilon do not fit: it must be at most 1e-5; got 0.001"),
    ],
)
def test_a_transformer_that_is_none_of_theirs_is_refused(how, reason, tmp_path):
    model = tiny_transformer(with_tokenizer=False, **how)
    with pytest.raises(ValueError, match=reason):
        zoo.save(model, tmp_path / "mine", format="transformers")


@pytest.mark.slow_to_compile
def test_a_preset_of_ours_translates_there(tmp_path):
    ours = zoo.load("transformer-small-en-fr")
    zoo.save(ours, tmp_path / "mine", format="transformers")
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "mine")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "mine")
    texts = ["The house is red.", "Nobody knows what he wants to eat."]
    expected = ours.generate(texts, max_new_tokens=30)
    for text, translated in zip(texts, expected, strict=True):
        row = torch.tensor([tokenizer(text)["input_ids"]])
        ids = theirs.generate(row, max_new_tokens=30, num_beams=1, do_sample=False)[0]
        assert tokenizer.decode(ids, skip_special_tokens=True) == translated
    assert expected[0] == "La maison est rouge."
