"""Renders a chat template, whoever wrote it."""

import functools

from zoo.chat.budget import CURRENT, Budget

MAX_TEMPLATE = 2**16  # characters


def render(template, messages, **variables):
    """The text of a conversation.

    Args:
        template: the text of a Jinja template, as transformers and llama.cpp read it.
        messages: a list of dicts.
        **variables: what else it may use, such as `add_generation_prompt`, `bos_token`, `tools`.

    Raises:
        ValueError: a template that is none, that takes or reaches for more than it may, or that
            refuses these messages.
    """
    if len(template) > MAX_TEMPLATE:
        raise ValueError(
            f"A chat template must be at most {MAX_TEMPLATE} characters; got {len(template)}."
        )
    token = CURRENT.set(Budget())
    try:
        return compiled(template).render(messages=messages, **variables)
    except Exception as error:  # of Jinja, or of the Python that a template amounts to
        reason = str(error)[:300] or type(error).__name__
        raise ValueError(
            f"The chat template cannot write these messages: {reason.rstrip('.')}. Change the "
            "messages, or give the model another chat_template."
        ) from None
    finally:
        CURRENT.reset(token)


@functools.lru_cache(maxsize=8)
def compiled(template):
    from zoo.chat.sandbox import ChatEnvironment  # Jinja, which takes a while to import

    return ChatEnvironment().compile_template(template)
