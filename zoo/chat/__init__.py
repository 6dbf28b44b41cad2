"""Chat templates: from messages to the text that a model was trained to go on from."""

from zoo.chat.messages import as_messages
from zoo.chat.rendering import MAX_TEMPLATE, render
from zoo.chat.special_names import hide, show, split

__all__ = ["MAX_TEMPLATE", "as_messages", "hide", "render", "show", "split"]
