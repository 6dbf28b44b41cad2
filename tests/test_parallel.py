"""Pairs of texts: parsed, split the same way always, and read from files of one's own."""

import dataclasses
import hashlib
import io
import re
import subprocess
import tarfile
import zipfile

import pytest
from zoo.training import debian, packages, parallel, parallel_text

pytestmark = pytest.mark.backend_free


def tar_of(members, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def deb_of(members, packed="xz"):
    """A Debian package with these files."""
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": tar_of({"./control": b"Package: x\n"}, "w:xz"),
        f"data.tar.{packed}": tar_of(members, f"w:{packed}"),
    }
    archive = b"!<arch>\n"
    for name, content in parts.items():
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        archive += header.encode() + content + b"\n" * (len(content) % 2)
    return archive


def tatoeba_archive(lines):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("fra.txt", "".join(f"{line}\n" for line in lines))
    return tar_of({"nmt-0.0.6/data/fra-eng.zip": buffer.getvalue(), "nmt-0.0.6/setup.py": b"1/0"})


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """A function that makes a set's packages these contents, kept in an empty cache."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    (tmp_path / "corpora").mkdir()

    def put(name, *contents):
        packages = []
        for package, content in zip(parallel.info(name).packages, contents, strict=True):
            (tmp_path / "corpora" / package.file).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            packages.append(dataclasses.replace(package, sha256=digest))
        changed = dataclasses.replace(parallel.info(name), packages=tuple(packages))
        monkeypatch.setitem(parallel.SETS, name, changed)

    return put


def test_tatoeba_is_split_by_its_english_sentences(serve):
    lines = [f"Sentence {i}.\tPhrase {i}\u202f!\tCC-BY #{i}" for i in range(400)]
    lines += [f"sentence {i}!\tÉnonce\u0301 {i}.\tCC-BY #{i}" for i in range(400)]
    lines += ["Sentence 7.\tPhrase  7 !\tCC-BY, again"]
    serve("tatoeba_en_fr", tatoeba_archive(lines))
    parts = parallel.load("tatoeba_en_fr")
    assert list(parts) == ["train", "valid", "test"]
    assert sum(map(len, parts.values())) == 800  # the same pair is there once
    numbers = {name: {english.split()[1][:-1] for english, _ in parts[name]} for name in parts}
    assert sum(map(len, numbers.values())) == 400  # no sentence in two parts
    assert len(parts["train"]) == pytest.approx(640, abs=60)
    assert ("Sentence 7.", "Phrase 7 !") in [pair for part in parts.values() for pair in part]
    assert ("sentence 9!", "Énoncé 9.") in [pair for part in parts.values() for pair in part]
    assert parallel.load("tatoeba_en_fr") == parts


PAGE = """<html><head><title>{0}</title></head><body><h1 id="hd_1">{0}</h1>
<p id="par_1" class="paragraph">{1} <span class="emph">A &amp; B</span><br>x.
</p><p id="par_2">{2}</p><p class="related">{0}</p><pre>code</pre><p id="bm_1"></p></body></html>"""
SWITCH = (
    'Press <span id="s" class="switchinline"><span hidden="true" id="MACs" class="MAC"><span '
    'class="keycode">Command</span></span>{}</span>{}.'
)
DEFAULT = '<span hidden="true" id="defaults">Ctrl</span>'


def help_package(language, pages):
    return deb_of(
        {
            f"./usr/share/libreoffice/help/{language}/{path}": content.encode()
            for path, content in pages.items()
        }
    )


def test_libreoffice_help_is_paired_by_page_and_id(serve):
    english = {
        "text/a.html": PAGE.format("Notes", "See", "Only here"),
        "text/b.html": PAGE.format("Tables", "Use", "Not in Chinese"),
        "media/c.html": PAGE.format("No", "text", "at all"),
    }
    chinese = {"text/a.html": PAGE.format("脚注", "请看", "Only here")}
    serve("libreoffice_en_zh", help_package("en-US", english), help_package("zh-CN", chinese))
    pairs = [pair for part in parallel.load("libreoffice_en_zh").values() for pair in part]
    assert sorted(pairs) == [("Notes", "脚注"), ("See A & B x.", "请看 A & B x.")]


def test_of_variants_the_default_is_taken():
    page = (
        f'<p id="par_1">{SWITCH.format(DEFAULT, "+F2")}</p>'
        f'<p id="par_2">{SWITCH.format("", "")}</p><p id="par_3">Behind it.</p>'
    )
    assert parallel_text.paragraphs(page.encode()) == {
        "par_1": "Press Ctrl+F2.",
        "par_3": "Behind it.",
    }


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz"])
def test_debian_packages_are_read_without_unpacking(tmp_path, packed):
    path = tmp_path / "x.deb"
    path.write_bytes(deb_of({"./b.txt": b"two", "./a.txt": b"one", "./c.sh": b"exit"}, packed))
    members = debian.read_members(path, lambda name: name.endswith(".txt"))
    assert list(members.items()) == [("./a.txt", b"one"), ("./b.txt", b"two")]
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_debian_package_is_refused(tmp_path):
    path, whole = tmp_path / "x.deb", deb_of({"./a.txt": b"one"})
    for content, message in (
        (b"PK\x03\x04", r"x\.deb must be a Debian package; it does not start as one"),
        (whole[:-50], r"x\.deb is damaged near byte \d+: fetch it again"),
        (whole.replace(b"data.tar.xz", b"data.tar.zz"), r"data\.tar, packed by .*; it has none"),
        (whole[:70], r"x\.deb is damaged near byte \d+"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            debian.read_members(path, lambda name: True)


def test_apt_is_asked_for_one_version(tmp_path, monkeypatch):
    commands = []

    def run(command, cwd=None, **keywords):
        commands.append((command, cwd))
        return subprocess.CompletedProcess(command, 100, "", "E: Version was not found")

    monkeypatch.setattr(packages.subprocess, "run", run)
    monkeypatch.setattr(packages.shutil, "which", lambda name: f"bin/{name}")
    package = parallel.info("libreoffice_en_zh").packages[0]
    with pytest.raises(RuntimeError, match=r"from debian: E: Version was not found\. .*or put lib"):
        packages.CLIENTS["debian"](package, tmp_path)
    name = f"libreoffice-help-en-us={package.version}"
    assert commands == [(["bin/apt-get", "download", "--quiet", name], tmp_path)]
    monkeypatch.setattr(packages.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"needs apt-get, which is not on PATH; put libreoffi"):
        packages.CLIENTS["debian"](package, tmp_path)


def test_sets_are_pinned_and_named():
    assert parallel.names() == ["tatoeba_en_fr", "libreoffice_en_zh"]
    for name in parallel.names():
        for package in parallel.info(name).packages:
            assert re.fullmatch(r"[0-9a-f]{64}", package.sha256)
    assert "CC-BY-2.0 FR: sentences from tatoeba.org" in parallel.info("tatoeba_en_fr").licence
    with pytest.raises(ValueError, match=r"named 'x'\. Known: tatoeba_en_fr, libreoffice_en_zh\."):
        parallel.load("x")


def test_the_part_is_decided_by_letters_and_digits():
    assert parallel.letters("It's 5 o'clock!") == parallel.letters("its 5 O\u2019Clock")
    assert parallel.letters("?!") == "?!"


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_with_tabs(tmp_path):
    text = "\ufeffGo.\tVa !\tCC-BY\r\n\n a\u2028b \t c\n"
    pairs = parallel.read_pairs(write(tmp_path / "pairs.tsv", text))
    assert pairs == [("Go.", "Va !"), ("a\u2028b", "c")]


def test_two_files(tmp_path):
    english = write(tmp_path / "x.en", "One\tand\n\nTwo")
    french = write(tmp_path / "x.fr", "Un et\n\nDeux\n")
    assert parallel.read_pairs(english, french) == [("One\tand", "Un et"), ("Two", "Deux")]


def test_lines_of_json(tmp_path):
    lines = '{"document": "Long\\ntext", "summary": "Short", "id": 3}\n\n'
    path = write(tmp_path / "x.jsonl", lines)
    assert parallel.read_pairs(path) == [("Long\ntext", "Short")]
    pairs = parallel.read_pairs(write(path, '{"en": "a", "fr": "b"}'), keys=("en", "fr"))
    assert pairs == [("a", "b")]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.tsv", b"a\tb\ncaf\xe9\tb\n", r"x\.tsv, line 2: the file must be UTF-8; .*0xe9"),
        ("x.tsv", "a\tb\nno tab\n", r"line 2: .* two texts with a tab between; got 'no tab'"),
        ("x.tsv", "a\tb\nc\t \n", r"line 2: both texts .*; the second is empty\. Leave"),
        ("x.tsv", "\tb\n", r"line 1: both texts .*; the first is empty"),
        ("x.tsv", "\n \n", r"x\.tsv must hold at least one pair of texts; it holds none"),
        ("x.jsonl", '{"document": "a"', r"x\.jsonl, line 1: the line must be JSON; got an error"),
        ("x.jsonl", '\n{"document": "a"}', r"line 2: .* texts at 'document' and 'summary'; got"),
        ("x.jsonl", '{"document": "a", "summary": 3}', r"line 1: .* texts at 'document' and"),
        ("x.jsonl", '["a", "b"]', r"must be a JSON object with texts at .*; got '\[\"a\""),
        ("x.jsonl", '{"document": "a", "summary": ""}', r"line 1: .*; the second is empty"),
    ],
    ids=[
        *("latin_1", "no_tab", "no_second", "no_first", "nothing"),
        *("no_json", "no_key", "no_text", "list", "empty"),
    ],
)
def test_errors_of_a_file(tmp_path, name, text, message):
    with pytest.raises(ValueError, match=message):
        parallel.read_pairs(write(tmp_path / name, text))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("a\nb\n", "c\n", r"x\.en and .*x\.fr must have the same number of lines, .*got 2 and 1\."),
        ("a\nb\n", "c\n\n", r"x\.fr, line 2: both texts .*; the second is empty"),
        ("a\n", b"\xff\n", r"x\.fr, line 1: the file must be UTF-8"),
        ("", "", r"x\.en must hold at least one pair of texts"),
    ],
    ids=["lines", "empty", "latin_1", "nothing"],
)
def test_errors_of_two_files(tmp_path, first, second, message):
    paths = write(tmp_path / "x.en", first), write(tmp_path / "x.fr", second)
    with pytest.raises(ValueError, match=message):
        parallel.read_pairs(*paths)
