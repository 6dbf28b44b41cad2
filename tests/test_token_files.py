"""Token files and packed rows: every token once, in a known order, on every backend."""

import json
import pathlib
import tracemalloc

import keras
import numpy as np
import pytest
from zoo.training.corpora import Document

from zoo.data import documents
from zoo.data import token_files as data
from zoo.data.token_files import PackedRows, TokenFile, write_token_file
from zoo.tokenizers import BytePairTokenizer

TEXTS = ["It was a dark night.", "Rain fell 🙂 in torrents.", "", "The <|endoftext|> end."] * 5


@pytest.fixture(scope="module")
def tokenizer():
    return BytePairTokenizer.train(TEXTS, 300)


@pytest.fixture
def file(tokenizer, tmp_path):
    write_token_file(TEXTS, tokenizer, tmp_path / "train.bin")
    return tmp_path / "train.bin"


def test_a_token_file_is_the_documents_between_separators(tokenizer, file):
    expected = [tokenizer.end_id]
    for ids in tokenizer.encode(TEXTS):
        expected += [*ids, tokenizer.end_id]
    tokens = TokenFile(file, tokenizer)
    assert tokens.tokens.tolist() == expected
    assert len(tokens) == len(expected)
    assert tokens.tokens.dtype == np.uint16
    assert tokens.tokens.flags.writeable is False
    assert (tokens.separator, tokens.documents, tokens.vocab_size) == (0, len(TEXTS), 300)
    documents = [Document(str(i), text) for i, text in enumerate(TEXTS)]
    write_token_file(iter(documents), tokenizer, file)
    assert TokenFile(file).tokens.tolist() == expected


def test_batches_of_text_do_not_show(tokenizer, file, monkeypatch):
    whole = file.read_bytes()
    monkeypatch.setattr(data, "BATCH_CHARACTERS", 30)
    write_token_file(TEXTS, tokenizer, file)
    assert file.read_bytes() == whole


def test_large_vocabularies_take_four_bytes(tokenizer, tmp_path):
    class Large:
        vocab_size, end_id = 70_000, 69_999
        to_json, check_ids = tokenizer.to_json, staticmethod(list)

        def encode(self, texts):
            return [[65_536 + len(text)] for text in texts]

    write_token_file(["ab"], Large(), tmp_path / "x.bin")
    assert TokenFile(tmp_path / "x.bin").tokens.tolist() == [69_999, 65_538, 69_999]


@pytest.mark.parametrize(
    ("documents", "error", "message"),
    [
        ([], ValueError, "needs text; got none"),
        (["", ""], ValueError, "needs text; got none"),
        (["a", b"b"], TypeError, "got bytes"),
        (["a", None], TypeError, "got NoneType"),
    ],
)
def test_a_failed_write_leaves_the_old_file(tokenizer, file, documents, error, message):
    old, names = file.read_bytes(), sorted(file.parent.iterdir())
    with pytest.raises(error, match=message):
        write_token_file(documents, tokenizer, file)
    assert file.read_bytes() == old
    assert sorted(file.parent.iterdir()) == names
    TokenFile(file)


def test_files_are_documents_read_piece_by_piece(tokenizer, tmp_path, monkeypatch):
    whole = "The wind was rising.\n\n\n  Rain fell 🙂\nin torrents, and it was dark.\n" * 30
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for path in paths:
        path.write_bytes(b"\xef\xbb\xbf" + whole.encode())
    write_token_file([whole, whole], tokenizer, tmp_path / "whole.bin")
    expected = (tmp_path / "whole.bin").read_bytes()
    monkeypatch.setattr(data, "BATCH_CHARACTERS", 100)
    monkeypatch.setattr(documents, "MOST_CHARACTERS", 50)
    for number, given in enumerate([[whole, whole], paths, iter(paths)]):
        sidecar = write_token_file(given, tokenizer, tmp_path / f"{number}.bin")
        assert sidecar["documents"] == 2
        assert (tmp_path / f"{number}.bin").read_bytes() == expected
    assert write_token_file(paths[0], tokenizer, tmp_path / "one.bin")["documents"] == 1


def test_pieces_add_up_and_are_bounded(monkeypatch):
    monkeypatch.setattr(documents, "MOST_CHARACTERS", 10)
    texts = ["", "a", "no place to cut" * 3, "日本語" * 20, "one two three four five", "a\nb\n" * 9]
    for text in texts:
        found = list(documents.pieces(text))
        assert "".join(piece for piece, _ in found) == text
        assert [is_last for _, is_last in found] == [False] * (len(found) - 1) + [True]
        assert all(0 < len(piece) <= 10 for piece, _ in found[:-1])
    assert next(documents.pieces("a line\nanother one")) == ("a line\n", False)
    assert next(documents.pieces("one two three four")) == ("one two", False)


def test_little_is_held_in_memory(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "BATCH_CHARACTERS", 20_000)
    monkeypatch.setattr(documents, "MOST_CHARACTERS", 20_000)
    (tmp_path / "large.txt").write_text("It was a dark night.\n" * 100_000)  # 2 MB
    tracemalloc.start()
    sidecar = write_token_file(tmp_path / "large.txt", tokenizer, tmp_path / "x.bin")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sidecar["count"] > 500_000
    assert peak < 1_500_000


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("some text", TypeError, "iterable of str or paths; got one str"),
        ("{folder}/a.txt", ValueError, "a.txt' is the name of a file, not its text"),
        (["{folder}/a.txt"], ValueError, "a.txt' is the name of a file, not its text"),
        (pathlib.Path("{folder}"), ValueError, "is a folder. Pass the files, such as"),
        ([pathlib.Path("{folder}/none.txt")], FileNotFoundError, "none.txt"),
        ([pathlib.Path("{folder}/latin.txt")], ValueError, "latin.txt, line 2: the file must be"),
    ],
)
def test_errors_of_documents(tokenizer, tmp_path, given, error, message):
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "latin.txt").write_bytes(b"one\ntw\xf6")

    def placed(value):
        return type(value)(str(value).replace("{folder}", str(tmp_path)))

    given = [placed(one) for one in given] if isinstance(given, list) else placed(given)
    with pytest.raises(error, match=message):
        write_token_file(given, tokenizer, tmp_path / "x.bin")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "latin.txt"]


def test_ids_that_are_not_the_tokenizers_are_refused(tokenizer, tmp_path):
    class Lying:
        vocab_size, end_id = 300, 0
        to_json, check_ids = tokenizer.to_json, staticmethod(list)

        def encode(self, texts):
            return [[65_536 + 5] for _ in texts]

    with pytest.raises(ValueError, match=r"ids from 0 to 299, .*; got 65541"):
        write_token_file(["a"], Lying(), tmp_path / "x.bin")


def test_how_far_it_is_is_shown_on_a_terminal_alone(tokenizer, tmp_path, capsys, monkeypatch):
    write_token_file(TEXTS, tokenizer, tmp_path / "x.bin")
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, to rich
    write_token_file(TEXTS, tokenizer, tmp_path / "x.bin")
    shown = capsys.readouterr().err
    assert f"{len(TEXTS)}/{len(TEXTS)}" in shown
    assert "tokens" in shown
    write_token_file(TEXTS, tokenizer, tmp_path / "x.bin", verbose=False)
    assert capsys.readouterr().err == ""


def test_errors_of_reading(tokenizer, file):
    sidecar = file.with_name("train.bin.json")
    other = BytePairTokenizer.train(["something else"], 290)
    with pytest.raises(ValueError, match="another tokenizer"):
        TokenFile(file, other)
    good = sidecar.read_text()
    for change in ({"dtype": "float32"}, {"count": 0}, {"count": "many"}, {"separator": None}):
        sidecar.write_text(json.dumps(json.loads(good) | change))
        with pytest.raises(ValueError, match="must be"):
            TokenFile(file)
    sidecar.write_text("{")
    with pytest.raises(ValueError, match="must be JSON with dtype"):
        TokenFile(file)
    sidecar.write_text(good)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut short"):
        TokenFile(file)
    sidecar.unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.bin\.json is missing"):
        TokenFile(file)
    with pytest.raises(FileNotFoundError, match="nothing is missing"):
        TokenFile(file.with_name("nothing"))


def test_a_tokenizer_without_an_end_needs_a_separator(tmp_path):
    plain = BytePairTokenizer.train(TEXTS, 300, special_tokens=())
    with pytest.raises(ValueError, match="no end token"):
        write_token_file(TEXTS, plain, tmp_path / "x.bin")
    write_token_file(TEXTS, plain, tmp_path / "x.bin", separator=10)
    assert TokenFile(tmp_path / "x.bin").tokens[0] == 10


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("count", [81, 85, 90])
def test_rows_use_every_token_but_a_partial_row(count, shuffle):
    rows = PackedRows(np.arange(count), length=8, batch_size=3, shuffle=shuffle)
    batches = [rows[i] for i in range(len(rows))]
    assert [len(x) for x, _ in batches] == [3, 3, 3, (count - 1) // 8 - 9]
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert x.dtype == y.dtype == np.int32
    np.testing.assert_array_equal(y, x + 1)
    np.testing.assert_array_equal(np.sort(x.ravel()), np.arange(len(x) * 8))
    assert (x[:, 0] % 8 == 0).all()
    assert shuffle != (x[:, 0].tolist() == sorted(x[:, 0]))


def test_order_is_seeded_and_new_each_epoch():
    def epochs(seed, number=3):
        rows = PackedRows(np.arange(1000), length=4, batch_size=8, seed=seed)
        for _ in range(number):
            rows.on_epoch_begin()
            yield np.concatenate([rows[i][0] for i in range(len(rows))])[:, 0].tolist()
            rows.on_epoch_end()

    first, again, other = list(epochs(1)), list(epochs(1)), list(epochs(2))
    assert first == again
    assert first != other
    assert len({tuple(order) for order in first}) == 3
    resumed = PackedRows(np.arange(1000), length=4, batch_size=8, seed=1)
    resumed.set_epoch(2)
    assert resumed[0][0][:, 0].tolist() == first[2][:8]


def test_a_smaller_last_batch_can_be_dropped():
    rows = PackedRows(np.arange(81), length=8, batch_size=3, drop_remainder=True)
    assert len(rows) == 3
    assert all(len(rows[i][0]) == 3 for i in range(3))


def test_too_few_tokens_is_an_error():
    with pytest.raises(ValueError, match="1 x 8 tokens and one more are needed for a batch; got 8"):
        PackedRows(np.arange(8), length=8, batch_size=3)
    with pytest.raises(ValueError, match="3 x 8 tokens"):
        PackedRows(np.arange(20), length=8, batch_size=3, drop_remainder=True)
    with pytest.raises(ValueError, match="at least 1; got 0"):
        PackedRows(np.arange(20), length=0, batch_size=3)


def test_fit_takes_the_rows_and_sees_new_orders(file):
    rows = PackedRows(TokenFile(file), length=8, batch_size=4)
    orders = []
    rows.set_epoch = lambda epoch: (orders.append(epoch), PackedRows.set_epoch(rows, epoch))
    model = keras.Sequential([keras.layers.Embedding(300, 8), keras.layers.Dense(300)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(0.05), loss=loss)
    history = model.fit(rows, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    assert orders == [1, 2, 3]
