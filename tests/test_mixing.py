"""Several token files as one stream: nothing twice, nothing lost, and in the shares asked for."""

import collections

import numpy as np
import pytest

from tests.models import tokenizer
from zoo.data import MixedRows, PackedRows, TokenFile, write_token_file

pytestmark = pytest.mark.backend_free
DOCUMENTS = [[f"{n} and {m} of {n * m}" for m in range(1, 9 + 4 * n)] for n in range(1, 4)]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokens")
    for number, documents in enumerate(DOCUMENTS):
        write_token_file(documents, tokenizer(), folder / f"{number}.bin", verbose=False)
    return [TokenFile(folder / f"{number}.bin") for number in range(3)]


def split(tokens, separator):
    """The texts between separators."""
    ends = np.flatnonzero(tokens == separator)
    parts = np.split(np.asarray(tokens), ends)
    texts = [tokenizer().decode(part[part != separator].tolist()) for part in parts]
    return list(filter(None, texts))


def stream(rows, epoch=0):
    """The tokens of an epoch, whose labels are the tokens one later."""
    x, y = zip(*(rows.in_epoch(epoch, i) for i in range(len(rows))), strict=True)
    x, y = np.concatenate(x), np.concatenate(y)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    flat = x.reshape(-1)
    np.testing.assert_array_equal(flat[1:], y.reshape(-1)[:-1])
    return flat


def test_one_file_as_it_stands_is_what_packed_rows_read(files):
    mixed = stream(MixedRows(files[:1], 6, 4, shuffle=False))
    packed = stream(PackedRows(files[0], 6, 4, shuffle=False))
    np.testing.assert_array_equal(mixed[:-6], packed[1 : len(mixed) - 5])  # without the first mark


def test_each_epoch_reads_all_documents_of_all_files_in_another_order(files):
    rows = MixedRows(files, 1, 64, seed=3)
    separator = files[0].separator

    def documents(epoch):
        return split(stream(rows, epoch), separator)

    first, second = documents(0), documents(1)
    expected = collections.Counter(text for part in DOCUMENTS for text in part)
    assert collections.Counter(first) == expected
    assert collections.Counter(first) == collections.Counter(second)
    assert first != second
    assert documents(0) == first
    places = [next(n for n, part in enumerate(DOCUMENTS) if text in part) for text in first]
    assert places != sorted(places)  # the files are mixed


def test_files_have_the_shares_that_were_asked_for(files):
    rows = MixedRows(files, 5, 8, weights=[6, 0, 4], seed=1)
    plain = MixedRows(files, 5, 8)
    assert rows.num_rows == plain.num_rows
    found = collections.Counter()
    for epoch in range(6):
        rows.in_epoch(epoch, 0)
        for file, _, count in rows._chosen:
            found[int(file)] += int(count)
    assert 1 not in found
    assert abs(found[0] / sum(found.values()) - 0.6) < 0.03
    assert len(stream(rows)) == rows.num_rows * 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": [1, 2]}, "a number of at least 0 for each of the 3 files"),
        ({"weights": [1, -1, 1]}, "at least 0"),
        ({"weights": [1, 1, 1], "shuffle": False}, "drawn in a random order"),
        ({"length": 10_000}, "1 x 10000 tokens and one more are needed"),
    ],
)
def test_what_does_not_fit_is_refused(files, arguments, message):
    with pytest.raises(ValueError, match=message):
        MixedRows(**{"files": files, "length": 4, "batch_size": 2, **arguments})


def test_files_of_two_tokenizers_are_refused(files, tmp_path):
    other = type(tokenizer()).train(["another text " * 9], 280)
    write_token_file(["a text"] * 9, other, tmp_path / "other.bin", verbose=False)
    with pytest.raises(ValueError, match="must be written with one tokenizer"):
        MixedRows([*files, tmp_path / "other.bin"], 4, 2)
    with pytest.raises(ValueError, match="at least one token file"):
        MixedRows([], 4, 2)
