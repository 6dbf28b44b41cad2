"""From a task to a model on a hub; see `zoo.downloads` for the settings that hold."""

import tempfile
from pathlib import Path

from zoo import hub
from zoo.checks import require_flag, shown
from zoo.downloads import hub_errors
from zoo.saving import FORMATS, save
from zoo.tasks import Task


def push(
    model: Task,
    repo: str,
    format: str = "transformers",
    private: bool = False,
    weights_dtype: str | None = None,
    message: str | None = None,
) -> str:
    """Save a task to a hub, where `zoo.load("hf://owner/name")` finds it, and transformers, too.

    It is made if it is not there, and files of other names in it are kept. Log in before, with
    `hf auth login` or `HF_TOKEN`.

    Args:
        model: a task such as `zoo.CausalLM`.
        repo: str, `"owner/name"`.
        format: that of `zoo.save`; `"zoo"` for families that transformers has not.
        private: bool, whether a new one is for its owner alone.
        weights_dtype: that of `zoo.save`.
        message: str, what the commit says; None for a usual one.

    Returns:
        `"hf://owner/name@commit"`, which `zoo.load` takes.

    Raises:
        ConnectionError: the hub cannot be reached.
        PermissionError: one has to log in.
        ValueError: `repo` is no name, or as `zoo.save` raises.
    """
    found = hub.HUB_NAME.fullmatch(str(repo).removeprefix(hub.PREFIX))
    if found is None or found["revision"]:
        raise ValueError(f"repo must be a name such as 'me/my-model'; got {str(repo)[:80]!r}.")
    repo = found["repo"]
    if not isinstance(format, str) or format not in FORMATS:
        raise ValueError(
            f"format must be one of {', '.join(FORMATS)}, which are folders; got {shown(format)}. "
            "A file is put on a hub by `hf upload owner/name mine.gguf`."
        )
    require_flag("private", private)
    if not isinstance(message, str | None):
        raise TypeError(f"message must be a text or None; got {shown(message)}.")
    from huggingface_hub import HfApi

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "model")
        save(model, folder, weights_dtype, format)
        card = folder / hub.CARD_NAME
        text = card.read_text(encoding="utf-8").replace('"path/to/model"', f'"hf://{repo}"')
        card.write_text(text.replace("# model", f"# {repo}"), encoding="utf-8")
        with hub_errors(repo, done="pushed"):
            api = HfApi(library_name="zoo")
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=repo,
                folder_path=folder,
                commit_message=message or "Saved by zoo.push",
            )
    return f"{hub.PREFIX}{repo}@{commit.oid}"
