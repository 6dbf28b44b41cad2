"""The chat template of a folder of transformers."""

from pathlib import Path

from zoo.checkpoints.roles import TOKENIZER_CONFIG_NAME
from zoo.checks import shown
from zoo.config import read_object
from zoo.tasks.chatting import CHAT_TEMPLATE
from zoo.tensors import checks

FILE_NAME = "chat_template.jinja"
KEY = "chat_template"  # of tokenizer_config.json, where all versions look
MAX_BYTES = 4 * CHAT_TEMPLATE.most


def read_chat_template(folder):
    """The text of a folder's chat template, a file of its own or in tokenizer_config.json, or None.

    Of several with names, it is the one that is called "default".

    Raises:
        ValueError: it is no text, or too long.
    """
    path = Path(folder) / FILE_NAME
    template = None
    if path.exists() or path.is_symlink():
        with checks.open_regular(checks.member(path.parent, FILE_NAME, path.parent)) as file:
            data = file.read(MAX_BYTES + 1)
        try:
            template = data.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{path} must be UTF-8. Fetch it again.") from None
    else:
        path = Path(folder) / TOKENIZER_CONFIG_NAME
        template = read_object(path).get(KEY) if path.exists() else None
        if isinstance(template, list):
            named = {one.get("name"): one for one in template if isinstance(one, dict)}
            template = named.get("default", {}).get("template")
    if template is not None and not CHAT_TEMPLATE.fits(template):
        raise ValueError(
            f"{path}: the chat template must be {CHAT_TEMPLATE.expected}; got {shown(template)}."
        )
    return template
