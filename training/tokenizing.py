"""A folder of texts to a folder of token files: on every core, in bounded memory, resumable.

    data/tokenizer.json
    data/train-000-00000.bin, .bin.json      of shard 000, in the order of `Part`s
    data/valid-000-00000.bin, .bin.json      the documents that are held out
    data/parts-000.json                      what was read: which part is done, and from which files

A part is made of some 64 MB of files and replaced in one step when it is whole, so a run that was
stopped goes on with the part it was at.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import os
import random
import zlib
from pathlib import Path

from zoo.training.text_files import documents_in, find_files

from zoo.data import TokenFile, write_token_file
from zoo.data.token_files import fingerprint, sidecar_path
from zoo.files import read_text, write_atomically
from zoo.tokenizers import BytePairTokenizer, Tokenizer

PART_BYTES = 2**26  # of files that are read into one token file
SAMPLE_CHARACTERS = 2**27  # of text that a tokenizer learns from
TOKENIZER = "tokenizer.json"
NEW = "new:"


@dataclasses.dataclass(frozen=True)
class Part:
    """Some files that become one token file."""

    number: int
    files: tuple

    @property
    def sources(self):
        """What tells whether the files are still those that were read."""
        return [[str(path), path.stat().st_size] for path in self.files]


def tokenize(
    sources,
    tokenizer,
    out,
    text="text",
    shard=(0, 1),
    validation=0.0,
    workers=None,
    seed=0,
    advance=lambda part, tokens, is_new: None,
):
    """Write the token files of a folder of texts.

    Args:
        sources: paths of files and folders, see `zoo.training.text_files`.
        tokenizer: a `Tokenizer`, the path of one or of a folder with one; or `"new:16000"` to
            learn byte pairs from the texts, unless `out` has a tokenizer already.
        out: folder for the token files.
        text: name of the column of texts in tables.
        shard: `(i, n)` for the i-th of n machines, from 0.
        validation: share of the documents that are held out, chosen by a hash of their text.
        workers: int, parts that are worked on at once; None for the number of cores.
        seed: int, of the order in which files come into parts.
        advance: called with each `Part`, its tokens and whether it was written now.

    Returns:
        `{"parts", "tokens", "documents", "validation_tokens"}`, numbers of this shard.

    Raises:
        FileNotFoundError, ValueError: as `find_files` and `write_token_file`; or a shard without
            files, a tokenizer to be learnt on several machines, or a folder of another tokenizer.
    """
    out, (place, count) = Path(out), check_shard(shard)
    files = find_files(sources)
    if count > len(files):
        raise ValueError(f"{count} shards need as many files; got {len(files)}. Use fewer.")
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = choose_tokenizer(tokenizer, files, out, text, count)
    random.Random(seed).shuffle(files)
    parts = parts_of(files[place::count])
    index = Index(out / f"parts-{place:03d}.json")
    totals = {"parts": len(parts), "tokens": 0, "documents": 0, "validation_tokens": 0}

    def work(part):
        if index.holds(part, text, validation, tokenizer):
            return part, index.found[part.number], False
        return part, write_part(part, tokenizer, out, place, text, validation), True

    with concurrent.futures.ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        waiting = [pool.submit(work, part) for part in parts]
        try:
            for done in concurrent.futures.as_completed(waiting):
                part, counts, is_new = done.result()
                index.add(part, text, validation, tokenizer, counts)
                for name in ("tokens", "documents", "validation_tokens"):
                    totals[name] += counts[name]
                advance(part, counts["tokens"], is_new)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    remove_others(out, place, parts, validation)
    return totals


def remove_others(out, place, parts, validation):
    """Remove a shard's files of earlier calls, with other texts or nothing held out."""
    numbers = {f"{part.number:05d}" for part in parts}
    for name in ("train", "valid"):
        for path in out.glob(f"{name}-{place:03d}-*.bin"):
            if path.stem[-5:] not in numbers or (name == "valid" and not validation):
                sidecar_path(path).unlink(missing_ok=True)
                path.unlink()


def check_shard(shard):
    place, count = shard
    if not 0 <= place < count:
        raise ValueError(f"A shard is i/n with i from 0 to n - 1; got {place}/{count}.")
    return place, count


def choose_tokenizer(tokenizer, files, out, text, num_shards):
    """The tokenizer of a folder of token files, learnt or copied into it."""
    path = out / TOKENIZER
    there = Tokenizer.load(out) if path.exists() else None
    if isinstance(tokenizer, str) and tokenizer.startswith(NEW):
        if there is not None:
            return there
        if num_shards > 1:
            raise ValueError(
                "Shards on several machines need one tokenizer: learn it in one place, with "
                f"{tokenizer!r} and without a shard, and pass its tokenizer.json to all."
            )
        size = tokenizer.removeprefix(NEW)
        if not size.isdigit():
            raise ValueError(f"A new tokenizer is 'new:' and a number of ids; got {tokenizer!r}.")
        given = BytePairTokenizer.train(sample(files, text), int(size))
    else:
        given = tokenizer if isinstance(tokenizer, Tokenizer) else Tokenizer.load(tokenizer)
    if there is not None and fingerprint(there) != fingerprint(given):
        raise ValueError(
            f"{path} is another tokenizer than the one given; its token files would not fit "
            "together. Choose another folder."
        )
    given.save(out)
    return given


def sample(files, text):
    """Texts of all files, from the start of each, that are few enough to be held in memory."""
    each = max(SAMPLE_CHARACTERS // len(files), 1000)
    for path in files:
        room = each
        for document in documents_in(path, text):
            content = document if isinstance(document, str) else read_text(document)
            yield content[:room]
            room -= len(content)
            if room <= 0:
                break


def parts_of(files):
    """Files in groups of about `PART_BYTES`."""
    parts, group, size = [], [], 0
    for path in files:
        group.append(path)
        size += path.stat().st_size
        if size >= PART_BYTES:
            parts.append(Part(len(parts), tuple(group)))
            group, size = [], 0
    return [*parts, Part(len(parts), tuple(group))] if group else parts


def write_part(part, tokenizer, out, place, text, validation):
    """The token files of a part: of what is trained on, and of what is held out."""
    counts = {"tokens": 0, "documents": 0, "validation_tokens": 0}
    for name, is_held_out in (("train", False), ("valid", True)):
        if is_held_out and not validation:
            continue
        documents = chosen(part.files, text, validation, is_held_out)
        first = next(documents, None)
        if first is None:
            continue
        path = out / f"{name}-{place:03d}-{part.number:05d}.bin"
        documents = itertools.chain([first], documents)
        sidecar = write_token_file(documents, tokenizer, path, verbose=False)
        counts["validation_tokens" if is_held_out else "tokens"] = sidecar["count"]
        counts["documents"] += sidecar["documents"]
    return counts


def chosen(files, text, validation, is_held_out):
    """The documents of some files that are held out, or those that are not."""
    for path in files:
        for document in documents_in(path, text):
            if not validation:
                yield document
                continue
            content = document if isinstance(document, str) else read_text(document)
            if (zlib.crc32(content.encode()) < validation * 2**32) == is_held_out:
                yield content


class Index:
    """Which parts were written, from which files."""

    def __init__(self, path):
        self.path = path
        self.found = {}
        if path.exists():
            self.found = {int(k): v for k, v in json.loads(path.read_text("utf-8")).items()}

    def holds(self, part, text, validation, tokenizer):
        """Whether a part was written from the same files in the same way."""
        entry = self.found.get(part.number, {})
        return entry.get("made") == made(part, text, validation, tokenizer)

    def add(self, part, text, validation, tokenizer, counts):
        """Note that a part is on disk."""
        counts = {k: v for k, v in counts.items() if k != "made"}
        self.found[part.number] = {**counts, "made": made(part, text, validation, tokenizer)}
        write_atomically(self.path, json.dumps(self.found, indent=1) + "\n")


def made(part, text, validation, tokenizer):
    return [part.sources, text, validation, fingerprint(tokenizer)]


def open_token_files(folder, name="train", tokenizer=None):
    """The `TokenFile`s of a folder that `tokenize` wrote, of `"train"` or `"valid"`; or one file's.

    Raises:
        FileNotFoundError: there are none.
        ValueError: they were written with another tokenizer than the one given.
    """
    folder = Path(folder)
    if folder.is_file():
        return [TokenFile(folder, tokenizer)] if name == "train" else []
    paths = sorted(folder.glob(f"{name}-*.bin"))
    if not paths and name == "train":
        raise FileNotFoundError(
            f"There are no token files in {str(folder)!r}. Write them from texts: zoo data "
            f"tokenize TEXTS --tokenizer new:16000 --out {folder}"
        )
    return [TokenFile(path, tokenizer) for path in paths]
