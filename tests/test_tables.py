"""Tables of texts: every format and line end gives the same rows, and errors name the place."""

import json
import tracemalloc

import pytest

from zoo.data import read_table, stream_table

pytestmark = pytest.mark.backend_free

ROWS = [("It works, mostly.", "good"), ("a \u2028 b", "bad"), ("Zürich 日本", "good"), ("", "bad")]


def csv_bytes(rows, end, names=("text", "label")):
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    return end.join([",".join(names), *quoted, ""]).encode()


def tsv_bytes(rows, end, names=("text", "label")):
    return end.join(["\t".join(row) for row in [names, *rows]] + [""]).encode()


def jsonl_bytes(rows, end, names=("text", "label")):
    lines = [json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows]
    return end.join([*lines, ""]).encode()


WRITERS = {"csv": csv_bytes, "tsv": tsv_bytes, "jsonl": jsonl_bytes, "ndjson": jsonl_bytes}


@pytest.fixture
def table(tmp_path):
    """A function that writes a file and gives its path."""

    def write(content, suffix="csv"):
        path = tmp_path / f"table.{suffix}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "bom"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_and_line_end_gives_the_same_rows(table, suffix, end, mark):
    content = mark + WRITERS[suffix](ROWS, end)
    texts, labels = [list(column) for column in zip(*ROWS, strict=True)]
    for whole in (
        content,
        content.rstrip(b"\r\n"),
        content.replace(end.encode(), end.encode() * 2),
    ):
        path = table(whole, suffix)
        assert read_table(path, label="label") == (texts, labels)
        assert read_table(str(path)) == texts
        assert read_table(path, text="label", label="text") == (labels, texts)
        assert list(stream_table(path, ["label", "text"])) == [(b, a) for a, b in ROWS]
        assert read_table(path, text=("text", "label")) == ROWS


def test_mixed_line_ends(table):
    assert read_table(table("text\na\r\nb\rc")) == ["a", "b", "c"]
    assert read_table(table('{"text": "a"}\r{"text": "b"}\r\n{"text": "c"}\n', "jsonl")) == list(
        "abc"
    )


def test_quoted_cells_hold_anything(table):
    text = 'She said "no",\r\nand\nleft.\r'
    path = table(csv_bytes([(text, "x")], "\n"))
    assert read_table(path, label="label") == ([text], ["x"])
    # In TSV a quote is a quote, as in GLUE's files.
    assert read_table(table('text\tn\n"a" b"\t1\n', "tsv")) == ['"a" b"']


def test_columns_by_number_need_no_names(table):
    path = table('3,"a, b"\n1,c\n')
    assert read_table(path, text=1, label=0) == (["a, b", "c"], ["3", "1"])
    assert list(stream_table(path, [-1])) == [("a, b",), ("c",)]
    with pytest.raises(ValueError, match="number must be from 0 to 1; got 2"):
        read_table(path, text=2)


def test_values_of_json_come_as_they_are(table):
    path = table('{"text": null, "n": 3}\n{"text": "b", "n": [1.5, true]}\n', "jsonl")
    assert read_table(path, label="n") == ([None, "b"], [3, [1.5, True]])
    with pytest.raises(ValueError, match=r"row 0: the column 'n' must hold texts; got 3\."):
        read_table(path, text="n")


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "table.parquet"
    columns = {"text": [a for a, _ in ROWS], "label": [1, 0, None, 2]}
    parquet.write_table(pyarrow.table(columns), path)
    assert read_table(path, label="label") == (columns["text"], columns["label"])
    with pytest.raises(ValueError, match=r"no column 'txt'\. Did you mean 'text'"):
        read_table(path, text="txt")


def test_parquet_without_pyarrow_says_what_to_install(table, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match="pip install pyarrow"):
        read_table(table(b"PAR1", "parquet"))


def test_a_stream_takes_little_memory(table):
    path = table("text,label\n" + f"{'x' * 200},y\n" * 20_000)  # 4 MB
    tracemalloc.start()
    assert sum(len(text) for (text,) in stream_table(path, "text")) == 4_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000


@pytest.mark.parametrize(
    ("content", "suffix", "message"),
    [
        ("text,label\na,b", "txt", r"must be a file that ends in \.csv, .*; got '.*table\.txt'"),
        ("Texts,label\na,b", "csv", "no column 'text'. Did you mean 'Texts'? The columns are"),
        ("TEXT,label\na,b", "csv", "no column 'text'. Did you mean 'TEXT'?"),
        ("a;b\nc;d", "csv", r"csv: there is no column 'text'\. The columns are 'a;b'\."),
        ("text,text\na,b", "csv", "each column must be named once; got 'text' twice"),
        ("text,label\na,b\nc", "csv", "line 3: a row must have 2 cells, .*; got 1"),
        ("text,label\na,b,c", "csv", "line 2: a row must have 2 cells, .*; got 3"),
        ('text\n"a"b', "csv", "line 2: the line is no row of the table"),
        ('text\n"a', "csv", "line 2: the line is no row of the table"),
        ("", "csv", "must name its columns in its first line; it is empty"),
        (b"text\nM\xfcller", "csv", "the file must be UTF-8; got the byte 0xfc"),
        (
            '{"text": "a"}\n{"txt": "b"}',
            "jsonl",
            "line 2: there is no column 'text'. Did you mean 't",
        ),
        ('{"text": "a"}\n[1]', "jsonl", "line 2: the line must be a JSON object"),
        ('{"text": "a"}\n\n{"text', "jsonl", "line 3: the line must be JSON; got"),
        ("[" * 10**5, "jsonl", "line 1: the line must be JSON; got"),
    ],
)
def test_errors_name_the_file_the_line_and_what_is_near(table, content, suffix, message):
    path = table(content, suffix)
    with pytest.raises(ValueError, match=message.replace("?", r"\?")) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv")
