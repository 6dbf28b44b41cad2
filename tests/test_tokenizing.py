"""A folder of texts to token files: every document once, whatever it was held in."""

import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zoo.training.tokenizing as tokenizing
from zoo.training.tokenizing import open_token_files, tokenize

from tests.models import tokenizer
from tests.test_mixing import split

pytestmark = pytest.mark.backend_free
TEXTS = [f"The text of number {n}, which is {'very ' * (n % 5)}short." for n in range(60)]


@pytest.fixture
def folder(tmp_path):
    """Ten texts in each kind of file."""
    folder = tmp_path / "texts"
    (folder / "inside").mkdir(parents=True)
    for number, text in enumerate(TEXTS[:9]):
        (folder / "inside" / f"{number}.txt").write_text(text)
    with gzip.open(folder / "one.txt.gz", "wt") as file:
        file.write(TEXTS[9])
    lines = "\n".join(json.dumps({"text": text, "id": 1}) for text in TEXTS[10:20])
    (folder / "a.jsonl").write_text(lines)
    lines = "\n".join(json.dumps({"text": text}) for text in TEXTS[20:30])
    with pa.output_stream(str(folder / "b.jsonl.zst"), compression="zstd") as file:
        file.write(lines.encode())
    for name, part in (("c.csv", TEXTS[30:40]), ("d.csv", TEXTS[40:50])):
        with open(folder / name, "w", newline="") as file:
            csv.writer(file).writerows([["text", "n"], *([text, 0] for text in part)])
    (folder / "d.csv.gz").write_bytes(gzip.compress((folder / "d.csv").read_bytes()))
    (folder / "d.csv").unlink()
    pq.write_table(pa.table({"text": TEXTS[50:]}), folder / "e.parquet")
    (folder / "notes.md").write_text("not read")
    return folder


def documents(out, name="train"):
    found = []
    for file in open_token_files(out, name):
        found += split(file.tokens, file.separator)
    return sorted(found)


def test_every_document_is_there_once_and_a_second_run_writes_nothing(folder, tmp_path):
    told = []
    totals = tokenize([folder], tokenizer(), tmp_path / "out", advance=lambda *a: told.append(a[2]))
    assert documents(tmp_path / "out") == sorted(TEXTS)
    assert totals["documents"] == len(TEXTS)
    again = tokenize([folder], tokenizer(), tmp_path / "out", advance=lambda *a: told.append(a[2]))
    assert again == totals
    assert told == [True, False]


def test_shards_and_held_out_documents_are_parts_of_the_whole(folder, tmp_path):
    for place in range(3):
        tokenize([folder], tokenizer(), tmp_path / "out", shard=(place, 3), validation=0.3)
    trained, held_out = documents(tmp_path / "out"), documents(tmp_path / "out", "valid")
    assert sorted(trained + held_out) == sorted(TEXTS)
    assert 8 < len(held_out) < 30


def test_a_run_that_was_stopped_goes_on_with_the_part_it_was_at(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tokenizing, "PART_BYTES", 200)
    write, done = tokenizing.write_part, []

    def stops(part, *rest):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(part.number)
        return write(part, *rest)

    monkeypatch.setattr(tokenizing, "write_part", stops)
    with pytest.raises(KeyboardInterrupt):
        tokenize([folder], tokenizer(), tmp_path / "out", workers=1)
    first, done[:] = list(done), ["more"] * 4
    totals = tokenize([folder], tokenizer(), tmp_path / "out", workers=1)
    assert not set(first) & set(done[4:])
    assert len(first) + len(done) - 4 == totals["parts"] > 4
    assert documents(tmp_path / "out") == sorted(TEXTS)


def test_a_new_tokenizer_is_learnt_once_and_kept(folder, tmp_path):
    tokenize([folder], "new:270", tmp_path / "out")
    files = open_token_files(tmp_path / "out")
    assert files[0].vocab_size == 270
    with pytest.raises(ValueError, match="another tokenizer than the one given"):
        tokenize([folder], tokenizer(), tmp_path / "out")
    with pytest.raises(ValueError, match="need one tokenizer: learn it in one place"):
        tokenize([folder], "new:270", tmp_path / "other", shard=(0, 2))
    with pytest.raises(ValueError, match="'new:' and a number of ids; got 'new:many'"):
        tokenize([folder], "new:many", tmp_path / "third")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shard": (3, 3)}, r"i/n with i from 0 to n - 1; got 3/3"),
        ({"shard": (0, 99)}, "99 shards need as many files"),
        ({"text": "body"}, "there is no column 'body'"),
        ({"sources": ["nowhere"]}, "no file or folder 'nowhere'"),
    ],
)
def test_what_does_not_fit_is_refused(folder, tmp_path, change, message):
    arguments = {"sources": [folder], "tokenizer": tokenizer(), "out": tmp_path / "out", **change}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        tokenize(**arguments)
    with pytest.raises(ValueError, match=r"Texts are read from files that end in \.txt"):
        tokenize([folder / "notes.md"], tokenizer(), tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="zoo data tokenize TEXTS"):
        open_token_files(tmp_path)
