"""From the name of a model on a hub to a folder in its cache, by the `huggingface_hub` library.

That library's settings hold: `HF_HOME` is where the cache is, `HF_ENDPOINT` another hub,
`HF_HUB_OFFLINE=1` for the cache alone, `HF_TOKEN` or `hf auth login` for what is private. What has
come of a file that breaks off is kept, and the next call goes on from there.
"""

import contextlib
import errno
import os
from pathlib import Path

from zoo.tensors import INDEX, NAME, checks

SMALL_FILES = (
    *("config.json", "generation_config.json", "manifest.json", "modules.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja", "chat_template.json"),
    *("spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "source.spm", "target.spm"),
    "1_Pooling/config.json",
)
PICKLED = "pytorch_model.bin"
NAMED = 8  # cached models that an error lists


def download(repo, revision=None, with_weights=True):
    """The folder of a model in the cache, with the files that loading it needs.

    Safetensors are preferred to pickles, and a single file to shards. A branch or a tag becomes the
    commit that it is at: all files are of one.

    Args:
        repo: str, `"owner/name"`.
        revision: str, a branch, a tag or a commit; None for the main branch.
        with_weights: bool.

    Returns:
        A Path, `.../snapshots/<commit>`.

    Raises:
        ConnectionError: the hub cannot be reached, and the cache does not have it.
        FileNotFoundError: there is no such model or revision, or it has no weights.
        OSError: a file came damaged, or cannot be written.
        PermissionError: one has to log in.
    """
    from huggingface_hub import HfApi, snapshot_download

    with hub_errors(repo, revision):
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=[*SMALL_FILES]))
    if not with_weights or holds_weights(folder):
        return folder
    with hub_errors(repo, revision):
        names = HfApi().list_repo_files(repo, revision=folder.name)
    name = weights_name(names, repo)
    with hub_errors(repo, revision):
        snapshot_download(repo, revision=folder.name, allow_patterns=[name])
    if not holds_weights(folder):  # an index had to come before what it names
        with hub_errors(repo, revision):
            snapshot_download(repo, revision=folder.name, allow_patterns=shards_of(folder))
    for path in folder.iterdir():
        check_digest(path)
    return folder


def weights_name(names, repo):
    """The file that has a model's weights, or the index that says which files have."""
    for name in (NAME, f"{NAME}{INDEX}", PICKLED, f"{PICKLED}{INDEX}"):
        if name in names:
            return name
    found = ", ".join(sorted(names)[:NAMED])
    raise FileNotFoundError(
        f"hf://{repo} has no weights that zoo reads: there must be a {NAME} or a {PICKLED}, or "
        f"shards with an index; got {found}."
    )


def holds_weights(folder):
    """Whether a folder has all files of some weights."""
    if (folder / NAME).exists():
        return True
    if (folder / f"{NAME}{INDEX}").exists() or not (folder / PICKLED).exists():
        shards = shards_of(folder)
        return bool(shards) and all((folder / shard).exists() for shard in shards)
    return True


def shards_of(folder):
    """The shards that the index in a folder names; none without an index."""
    for name in (NAME, PICKLED):
        path = folder / f"{name}{INDEX}"
        if path.exists():
            with checks.open_regular(path) as file:
                places = checks.strict_json(file.read(), path).get("weight_map")
            return sorted(set(map(str, places.values()))) if isinstance(places, dict) else []
    return []


def check_digest(path):
    """Compare a file of the cache with the sha256 that the hub gave it as its name there."""
    blob = path.resolve()
    if len(blob.name) != 64 or not path.is_symlink():
        return
    found = checks.digest(blob)
    if found != blob.name:
        blob.unlink()
        raise OSError(
            f"{path.name} is not the file that the hub has: its sha256 must be {blob.name}; got "
            f"{found}. It came damaged, and was removed. Load the model again to fetch it."
        )


@contextlib.contextmanager
def hub_errors(repo, revision=None, done="fetched"):
    """Say in one sentence what went wrong between here and the hub."""
    from huggingface_hub import constants, errors

    where = f"hf://{repo}"
    try:
        yield
    except errors.RevisionNotFoundError:
        raise FileNotFoundError(
            f"{where} has no revision {revision!r}. Give a branch, a tag or a commit that it has."
        ) from None
    except (errors.RepositoryNotFoundError, errors.HfHubHTTPError) as error:
        raise http_error(error, where, constants.ENDPOINT) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        raise unreachable(where, constants, done) from None
    except errors.HFValidationError as error:
        raise ValueError(f"{where} is no name of a model on a hub: {error}") from None
    except OSError as error:
        raise file_error(error, where, done) from error
    except Exception as error:
        if not type(error).__module__.startswith(("httpx", "requests", "urllib3")):
            raise
        raise ConnectionError(
            f"The connection to {constants.ENDPOINT} broke before {where} was {done} "
            f"({type(error).__name__}). Try again: what is done is kept."
        ) from None


def http_error(error, where, endpoint):
    status = getattr(error.response, "status_code", None)
    if status in (401, 403):
        return PermissionError(
            f"{where} is private or gated, or there is no such model on {endpoint} ({status}). "
            "Check the name; if it is right, log in with `hf auth login` or set HF_TOKEN, and ask "
            "for access on its page."
        )
    if status == 404:
        return FileNotFoundError(f"There is no model {where} on {endpoint} (404). Check the name.")
    return ConnectionError(f"{endpoint} answered {status} for {where}. Try again later.")


def unreachable(where, constants, done):
    """The error where there is no network, with the names of what is cached."""
    cached = cached_models(constants.HF_HUB_CACHE)
    names = ", ".join(f"hf://{name}" for name in cached[:NAMED]) or "nothing"
    reason = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "it cannot be reached"
    return ConnectionError(
        f"{where} was not {done}, and is not in the cache; of {constants.ENDPOINT}: {reason}. The "
        f"cache {constants.HF_HUB_CACHE} has {names}."
    )


def cached_models(cache):
    """The names of the models in a cache, sorted."""
    folders = Path(cache).glob("models--*--*/snapshots")
    return sorted(repo_of(folder.parent) for folder in folders if any(folder.iterdir()))


def repo_of(folder):
    return folder.name.removeprefix("models--").replace("--", "/")


def file_error(error, where, done):
    """An error of the disk, or of a file of another size than the hub says."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        plain = OSError(f"{where} was not {done}: the disk is full. Free some space and try again.")
        plain.errno = error.errno
        return plain
    return OSError(f"{where} was not {done}: {str(error).splitlines()[0][:300]}")


def source_of(folder):
    """`"hf://owner/name@commit"` of a folder in the cache; None for any other."""
    folder = Path(os.path.abspath(folder))
    repo = folder.parent.parent
    if folder.parent.name != "snapshots" or not repo.name.startswith("models--"):
        return None
    return f"hf://{repo_of(repo)}@{folder.name}"
