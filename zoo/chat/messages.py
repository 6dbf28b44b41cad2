"""The messages of a conversation, checked."""


def as_messages(messages):
    """A conversation as a list of dicts with a role and a content, both text.

    Args:
        messages: such a list; or a string, which the user says.

    Raises:
        TypeError: something else.
        ValueError: none at all.
    """
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if not isinstance(messages, (list, tuple)):
        raise TypeError(
            "A chat is a string, or a list of messages such as "
            f'{{"role": "user", "content": "Hello"}}; got {type(messages).__name__}.'
        )
    for i, message in enumerate(messages):
        for key in ("role", "content"):
            value = message.get(key) if isinstance(message, dict) else None
            if not isinstance(value, str):
                raise TypeError(
                    'Each message of a chat must be a dict such as {"role": "user", "content": '
                    f'"Hello"}}, both text; message {i} is {str(message)[:80]}.'
                )
    if not messages:
        raise ValueError("A chat must have at least one message; got an empty list.")
    return [dict(message) for message in messages]
