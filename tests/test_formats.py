"""CoNLL and SQuAD: what is read, what is left out, and where an error is said to be."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.data.formats import QAExample, read_conll, read_squad

pytestmark = pytest.mark.backend_free

CONLL_2003 = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

# NN B-NP O
1 CD I-NP O
"""
CONLLU = """# newdoc id = d1
# sent_id = 1
# text = vámonos # al mar
1-2\tvámonos\t_\t_\t_\t_\t_\t_\t_\t_
1\tvamos\tir\tVERB\t_\t_\t0\troot\t_\t_
2\tnos\tnosotros\tPRON\t_\t_\t1\tobj\t_\t_
2.1\tya\tya\tADV\t_\t_\t_\t_\t_\t_
3\t#\t#\tSYM\t_\t_\t1\tdep\t_\t_

# newpar
# Any remark, without a tab
1\tNew York\tNew York\tPROPN\t_\t_\t0\troot\t_\t_
"""
CONTEXT = "The Seine flows through Paris, and Paris through history."


@pytest.fixture
def conll(tmp_path):
    """`read_conll` of a file with the given content."""

    def read(content, **columns):
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "train.conll").write_bytes(content)
        return read_conll(tmp_path / "train.conll", **columns)

    return read


def test_conll_2003_is_words_and_tags(conll):
    sentences, tags = conll(CONLL_2003)
    assert sentences == [["EU", "rejects"], ["#", "1"]]
    assert tags == [["B-ORG", "O"], ["O", "O"]]
    assert conll(CONLL_2003, tag_column=1)[1] == [["NNP", "VBZ"], ["NN", "CD"]]
    assert conll(CONLL_2003, word_column=-3, tag_column=0)[1] == [["EU", "rejects"], ["#", "1"]]


def test_conllu_is_read_without_what_is_no_word(conll):
    sentences, tags = conll(CONLLU, word_column=1, tag_column=3)
    assert sentences == [["vamos", "nos", "#"], ["New York"]]
    assert tags == [["VERB", "PRON", "SYM"], ["PROPN"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
        lambda text: "\n\n" + text.replace("\n\n", "\n \t\n\n") + "\n\n",
        lambda text: text.replace(" ", "\t"),
        lambda text: text.replace(" ", "   ").replace("\n", "  \n"),
        lambda text: text.replace("\n\n#", "\n-DOCSTART- -X- O O\n#"),
    ],
    ids=["windows", "bom", "no_last_line", "blank_lines", "tabs", "wide", "docstart"],
)
def test_the_layout_of_a_conll_file_does_not_show(conll, change):
    assert change(CONLL_2003) != CONLL_2003
    assert conll(change(CONLL_2003)) == conll(CONLL_2003)


def test_odd_white_space_and_marks_are_words(conll):
    words = ["\u00a0", "a\u2028b", "\u3000", "#tag", "-DOCS", "3-4", "#", "\x85"]
    for separator in "\t ":
        content = "".join(f"{word}{separator}O\n" for word in words)
        assert conll(content)[0] == [words], repr(separator)


word = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=5)
rows = st.lists(st.tuples(word.map("w".__add__), word), min_size=1, max_size=4)


@given(st.lists(rows, min_size=1, max_size=4), st.sampled_from(["\t", " "]))
def test_what_is_written_is_read(tmp_path_factory, sentences, separator):
    path = tmp_path_factory.getbasetemp() / "written.conll"
    blocks = ["".join(f"{w}{separator}{t}\n" for w, t in rows) for rows in sentences]
    path.write_bytes("\n".join(blocks).encode())
    assert read_conll(path) == tuple(
        [[row[i] for row in rows] for rows in sentences] for i in range(2)
    )


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("a O\nb O\n\nc\n", {}, r", line 4: .* word in column 0 and a tag in column -1.*\['c'\]"),
        ("a\tO\nb\t\n", {}, r", line 2: .*got the columns \['b', ''\]"),
        ("\tO\n", {}, r", line 1: .*got the columns \['', 'O'\]"),
        ("a b c\n\na b\n", {"tag_column": 2}, r", line 3: .*tag in column 2.*\['a', 'b'\]"),
        ("a b c\na b\n", {"word_column": -3}, r", line 2: .*word in column -3"),
        ("a b\n", {"tag_column": 0}, r", line 1: .*tag in column 0"),
        (b"a O\nb O\nc\xe9 O\n", {}, r", line 3: the file must be UTF-8; got the byte 0xe9"),
        ("a O\n".encode("utf-16"), {}, r", line 1: the file must be UTF-8; got the byte 0xff"),
        ("", {}, " must hold at least one line with a word and a tag; got none"),
        ("-DOCSTART- -X- O\n\n# x = y\n", {}, " must hold at least one line"),
    ],
    ids=[
        "one_column",
        "empty_tag",
        "empty_word",
        "short_line",
        "short_line_backwards",
        "word_is_tag",
        "latin_1",
        "utf_16",
        "empty",
        "no_words",
    ],
)
def test_errors_of_conll_name_the_line(conll, content, columns, message):
    with pytest.raises(ValueError, match=rf"train\.conll{message}"):
        conll(content, **columns)


def squad(*questions, context=CONTEXT):
    return {
        "version": "v2.0",
        "data": [{"title": "Paris", "paragraphs": [{"context": context, "qas": list(questions)}]}],
    }


def question(id="q1", answers=(("Paris", 24),), **more):
    answers = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id, "question": "Through which city?", "answers": answers, **more}


IMPOSSIBLE = question(
    "q2",
    answers=(),
    is_impossible=True,
    plausible_answers=[{"text": "Paris", "answer_start": 0}],
)
EXAMPLES = [
    QAExample("q1", "Through which city?", CONTEXT, (("Paris", 24), ("Paris", 35))),
    QAExample("q2", "Through which city?", CONTEXT, ()),
]
NESTED = squad(question(answers=(("Paris", 24), ("Paris", 35)), is_impossible=False), IMPOSSIBLE)
FLAT = [{**row, "context": CONTEXT} for row in NESTED["data"][0]["paragraphs"][0]["qas"]]
COLUMNS = [
    {**FLAT[0], "answers": {"text": ["Paris", "Paris"], "answer_start": [24, 35]}},
    {**FLAT[1], "answers": {"text": [], "answer_start": []}},
]


@pytest.mark.parametrize(
    "source",
    [NESTED, FLAT, COLUMNS, EXAMPLES, [EXAMPLES[0], FLAT[1]], tuple(EXAMPLES)],
    ids=["nested", "flat", "columns", "examples", "mixed", "tuple"],
)
def test_questions_are_the_same_from_every_source(source, tmp_path):
    assert read_squad(source) == EXAMPLES
    if QAExample in map(type, source):
        return  # not what JSON can hold
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(source, ensure_ascii=False), encoding="utf-8")
    assert read_squad(path) == read_squad(str(path)) == EXAMPLES


def test_a_source_is_left_as_it_was():
    before = json.dumps([NESTED, COLUMNS])
    read_squad(NESTED)
    read_squad(COLUMNS)
    assert json.dumps([NESTED, COLUMNS]) == before


def test_several_articles_keep_their_order():
    both = {"data": squad(question("a"))["data"] + squad(question("b"), question("c"))["data"]}
    assert [example.id for example in read_squad(both)] == ["a", "b", "c"]
    assert read_squad({"data": []}) == read_squad([]) == []


def test_characters_are_counted_not_bytes(tmp_path):
    path = tmp_path / "dev.json"
    context = "🙂 Café Odéon, Zürich"
    path.write_text(json.dumps(squad(question(answers=[("Zürich", 14)]), context=context)))
    (example,) = read_squad(path)
    assert example.answers == (("Zürich", 14),)


def test_an_example_does_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        EXAMPLES[0].answers = ()
    assert len({*EXAMPLES, *read_squad(NESTED)}) == 2


@given(st.text(max_size=9), st.text(min_size=1, max_size=9), st.text(max_size=9))
def test_every_piece_of_a_context_can_be_an_answer(before, answer, after):
    context, answers = before + answer + after, ((answer, len(before)),)
    (example,) = read_squad(squad(question(answers=answers), context=context))
    assert example == QAExample("q1", "Through which city?", context, answers)


def without(key):
    return {name: value for name, value in FLAT[0].items() if name != key}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            squad(question(answers=[("Paris", 23)])),
            r"Question 'q1': the answer 'Paris' must stand in its context at character 23; "
            r"' Pari' stands there\.",
        ),
        (squad(question(answers=[("history!", 49)])), r"'history\.' stands there"),
        (squad(question(answers=[("x", 57)])), r"within its context of 57 characters; got 57\."),
        (squad(question(answers=[("x", -1)])), r"'q1': the answer 'x' must start .* got -1\."),
        (squad(question(answers=[("Paris", "24")])), r"'q1': the answer 'Paris' .* got '24'\."),
        (squad(question(answers=[("", 3)])), r"'q1': an answer must be a text of at least one"),
        (squad(question(is_impossible=True)), r"'q1': it is marked as impossible.* got 1\."),
        (squad(question(answers=[("x", 0)]), context=""), r"context of 0 characters; got 0\."),
        (squad(question(id=7)), r"Question 7: its id must be a string; got 7\."),
        (squad(question(), context=None), r"'q1': its context must be a string; got None"),
        ([without("context")], r"Question 'q1' must have 'context'; got only the keys \['id'"),
        ([without("answers")], r"Question 'q1' must have 'answers'"),
        ([FLAT[0], without("id")], r"Question 1 must have 'id'"),
        (
            [{**FLAT[0], "answers": [{"text": "Paris"}]}],
            r"'q1': an answer must have 'answer_start'",
        ),
        ([{**FLAT[0], "answers": {"text": ["a"]}}], r"'q1': its answers must have 'answer_start'"),
        (
            [{**FLAT[0], "answers": {"text": ["Paris"], "answer_start": []}}],
            r"'q1': its answers must be as many texts as starts; got 1 and 0\.",
        ),
        ([{**FLAT[0], "answers": None}], r"'q1': its answers must be a list; got NoneType"),
        (["What?"], r"Question 0 must be a JSON object \(a dict\); got str"),
        ({"questions": []}, r"outermost object must have 'data'; got only the keys \['quest"),
        ({"data": [{"title": "x"}]}, r"Article 0 must have 'paragraphs'"),
        ({"data": [{"paragraphs": [{}]}]}, r"Article 0, paragraph 0 must have 'context' and 'qas'"),
        (squad({"question": "?"}), r"Article 0, paragraph 0, question 0 must have 'id' and 'ans"),
        ({"data": {}}, r"SQuAD's 'data' must be a list; got dict"),
    ],
)
def test_errors_of_squad_name_the_question(source, message):
    with pytest.raises(ValueError, match=message):
        read_squad(source)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"data": [],\n oops}', r"dev\.json, line 2: the file must be JSON; got an error: "),
        (b"", r"dev\.json, line 1: the file must be JSON"),
        (b'{"data":\n "\xff"}', r"dev\.json, line 2: the file must be UTF-8; got the byte 0xff"),
        (b"5", "must be a list; got int"),
        (b'"other.json"', "must be a list; got str"),
    ],
    ids=["broken", "empty", "not_utf_8", "number", "string"],
)
def test_errors_of_json_files(content, message, tmp_path):
    path = tmp_path / "dev.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_squad(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    for read in (read_conll, read_squad):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            read(tmp_path / "nowhere")
