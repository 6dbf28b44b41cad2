"""Parsers of parallel texts: members of archives to pairs of texts, one function for each set."""

import io
import re
import zipfile
from html.parser import HTMLParser

from zoo.training.corpora_text import clean, collapse

PARAGRAPH = re.compile(r"p|h[1-6]")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]")


def tatoeba(members):
    """`(English, French)` from the lines `English, French, attribution` of one zipped file."""
    (archive,) = members.values()
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        lines = file.read("fra.txt").decode("utf-8").split("\n")
    pairs = (line.split("\t")[:2] for line in lines if line)
    return [(collapse(clean(english)), collapse(clean(french))) for english, french in pairs]


def libreoffice_help(english_members, chinese_members):
    """`(English, Chinese)` from the paragraphs of the same page that have the same id.

    Those that are not translated, without a Chinese character or without a Latin letter on the
    English side, are left out.
    """
    chinese_pages = {page_of(path): content for path, content in chinese_members.items()}
    pairs = []
    for path, content in english_members.items():
        chinese = paragraphs(chinese_pages.get(page_of(path), b""))
        for id, text in paragraphs(content).items():
            if LATIN.search(text) and CHINESE.search(chinese.get(id, "")):
                pairs.append((text, chinese[id]))
    return pairs


def page_of(path):
    """The part of a page's path that both languages share."""
    return path.partition("/text/")[2]


def paragraphs(page):
    """`{id: text}` of the paragraphs and headings of a page of help, those with text only."""
    parser = HelpPage()
    parser.feed(page.decode("utf-8"))
    parser.close()
    return parser.paragraphs


class HelpPage(HTMLParser):
    """Collects the text of the paragraphs and headings that have an id.

    Where a page has variants for several systems or programs, the default one is taken;
    paragraphs with variants and no default are left out.
    """

    def __init__(self):
        super().__init__()
        self.paragraphs = {}
        self.id = None  # of the paragraph that is being read
        self.text = []
        self.spans = []  # for each span that is open, whether its text counts
        self.switches = 0  # without a default so far

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if PARAGRAPH.fullmatch(tag):
            self.id, self.text, self.spans, self.switches = attributes.get("id"), [], [], 0
        elif tag == "span":
            is_default = (attributes.get("id") or "").startswith("default")
            self.spans.append("hidden" not in attributes or is_default)
            self.switches += attributes.get("class") == "switchinline"
            self.switches -= "hidden" in attributes and is_default
        elif tag == "br":
            self.text.append(" ")

    def handle_endtag(self, tag):
        if tag == "span" and self.spans:
            self.spans.pop()
        elif PARAGRAPH.fullmatch(tag) and self.id:
            text = collapse(clean("".join(self.text)))
            if text and not self.switches:
                self.paragraphs.setdefault(self.id, text)
            self.id = None

    def handle_data(self, data):
        if self.id and all(self.spans):
            self.text.append(data)
