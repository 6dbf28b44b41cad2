"""What `generate` is asked for where a call says nothing: a task's usual request."""

import numpy as np

from zoo.checks import require_flag, shown
from zoo.generation.checks import check_number, check_whole

# Beside a sampler: what of a request belongs to a model rather than to a call.
USUAL = {
    "max_new_tokens": lambda name, value: check_whole(name, value),
    "max_length": lambda name, value: check_whole(name, value),  # the prompt's tokens among them
    "min_new_tokens": lambda name, value: check_whole(name, value, least=0),
    "no_repeat_ngram_size": lambda name, value: check_whole(name, value),
    "repetition_penalty": lambda name, value: check_number(
        name, value, "above 0 and finite", lambda r: 0 < r < np.inf
    ),
    "bad_words": lambda name, value: check_sequences(name, value),
    "force_end": lambda name, value: require_flag(name, value),
}
LENGTHS = ("max_new_tokens", "max_length")


def check_usual(request):
    """A dict of `USUAL` as it came; raises TypeError or ValueError for anything else."""
    if not isinstance(request, dict):
        raise TypeError(f"A usual request must be a dict; got {shown(request)}.")
    for name, value in request.items():
        if name not in USUAL:
            raise ValueError(
                f"A usual request may have {', '.join(USUAL)}; got {shown(name)}. The sampler is "
                "an argument of its own."
            )
        USUAL[name](name, value)
    return request


def check_sequences(name, value):
    is_list = isinstance(value, (list, tuple)) and value
    if not is_list or not all(
        isinstance(ids, (list, tuple)) and ids and all(type(i) is int and i >= 0 for i in ids)
        for ids in value
    ):
        raise ValueError(f"{name} must be lists of token ids; got {shown(value)}.")


def with_usual(usual, sampler, others):
    """What a call asks beside a sampler, on top of what is usual; a None in it asks for nothing."""
    usual = {name: usual[name] for name in usual if name not in LENGTHS}
    if getattr(sampler, "processors", ()):  # which say it themselves
        usual.pop("repetition_penalty", None)
    return usual | others


def usual_length(usual, asked, default):
    """How many new tokens a call asks for, or those that are usual, or `default`."""
    given = (asked, *(usual.get(name) for name in LENGTHS), default)
    return next(length for length in given if length is not None)


def usual_room(usual, context, longest):
    """How many new tokens there is room for behind a prompt, where a call asks for none itself."""
    is_whole = "max_length" in usual and "max_new_tokens" not in usual
    most = min(context, usual["max_length"]) if is_whole else context
    return max(most - longest, 1)
