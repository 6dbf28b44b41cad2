"""What a folder held when `zoo.save` wrote it: the sha256 of each file, which `zoo.load` compares.

    manifest.json    {"sha256": {"model.safetensors": "...", "tokenizer.json": "..."}}

config.json and README.md are for people to edit, and not in it.
"""

import fnmatch
import json

from zoo.tensors import checks

NAME = "manifest.json"
EDITED = ("config.json", "README.md", NAME)
MAX_BYTES = 2**20


def write(folder):
    """Write the manifest of all files in a folder."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    digests = {path.name: checks.digest(path) for path in paths if path.name not in EDITED}
    text = json.dumps({"sha256": digests}, indent=2) + "\n"
    (folder / NAME).write_text(text, encoding="utf-8")


def check(folder, without=()):
    """Compare the files of a folder with its manifest, if it has one; a file that is gone passes.

    Args:
        folder: a Path.
        without: patterns of names that are not looked at.

    Returns:
        Whether there is a manifest.

    Raises:
        ValueError: a file was changed since, or the manifest is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return False
    for name, expected in read(path).items():
        file = checks.member(folder, name, path)
        if not file.exists() or any(fnmatch.fnmatch(name, pattern) for pattern in without):
            continue
        found = checks.digest(file)
        if found != expected:
            raise ValueError(
                f"{file} is not the file that was saved: its sha256 must be {expected[:64]}, as "
                f"{NAME} has it; got {found}. Fetch or save the folder again; if you meant to "
                f"change the file, delete {NAME}."
            )
    return True


def read(path):
    """`{name: sha256}` of a manifest."""
    with checks.open_regular(path) as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{path} must be at most {MAX_BYTES} bytes.")
    digests = checks.strict_json(data, path).get("sha256")
    is_map = isinstance(digests, dict) and all(isinstance(text, str) for text in digests.values())
    if not is_map:
        raise checks.damaged(path, "it must give the sha256 of each file")
    return digests
