"""What a model of transformers is usually asked for: generation_config.json, both ways.

    {"num_beams": 4, "no_repeat_ngram_size": 3, "max_length": 142, ...}

Older folders have these keys in config.json. They become the task's sampler and its usual request,
see `zoo.generation.usual`. Ids of special tokens are in the same files: see `roles`.
"""

import warnings

from zoo.checkpoints.roles import CONFIG_NAME, GENERATION_CONFIG_NAME, read_ids
from zoo.checks import shown
from zoo.config import read_object
from zoo.data.texts import user_level
from zoo.generation import Beam, Sampler, get_sampler
from zoo.generation.usual import check_usual

# Keys that change what is written and that nothing here follows, with the values that change none.
NOT_FOLLOWED = {
    "early_stopping": (False,),
    "max_time": (),
    "stop_strings": ([],),
    "num_return_sequences": (1,),
    "penalty_alpha": (0,),
    "epsilon_cutoff": (0,),
    "top_h": (),
    "encoder_repetition_penalty": (1,),
    "encoder_no_repeat_ngram_size": (0,),
    "begin_suppress_tokens": ([],),
    "forced_decoder_ids": ([],),
    "exponential_decay_length_penalty": (),
    "sequence_bias": ([], {}),
    "guidance_scale": (1,),
    "token_healing": (False,),
    "watermarking_config": (),
    "dola_layers": (),
    "constraints": ([],),
    "force_words_ids": ([],),
}
FILTERS = {
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "eta_cutoff": 0.0,
}  # and their inert values
USUAL_TOP_K = 50  # of theirs, where tokens are drawn


def read_request(folder, task):
    """`(sampler, request)` of a folder, each a dict; warns once of what cannot be followed.

    Raises:
        ValueError: a value that is none, with the name of its key.
    """
    path = folder / GENERATION_CONFIG_NAME
    path = path if path.exists() else folder / CONFIG_NAME
    theirs = {key: value for key, value in read_object(path).items() if value is not None}
    if "forced_bos_token_id" in (ids := read_ids(folder)):  # the role that it has for us
        theirs["forced_bos_token_id"] = ids["forced_bos_token_id"]
    is_seq2seq = task == "seq2seq"
    ignored = [k for k, inert in NOT_FOLLOWED.items() if k in theirs and theirs[k] not in inert]
    try:
        sampler = sampler_of(theirs, is_seq2seq, ignored)
        request = request_of(theirs, is_seq2seq, ignored)
        get_sampler(sampler)
        check_usual(request)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} asks for what cannot be generated: {error}") from None
    if ignored:
        warnings.warn(
            f"{path}: {', '.join(ignored)} cannot be followed; texts may differ from those that "
            "transformers writes. All else that it asks of generate is what generate does here.",
            stacklevel=user_level(),
        )
    return sampler, request


def sampler_of(theirs, is_seq2seq, ignored):
    """The numbers of a sampler; {} for the greedy one."""
    is_drawn, width = theirs.get("do_sample", False), whole(theirs, "num_beams", 1)
    if type(is_drawn) is not bool:
        raise ValueError(f"do_sample must be true or false; got {shown(is_drawn)}")
    if width > 1 and not is_drawn:
        penalty = theirs.get("length_penalty", 1.0)
        if isinstance(penalty, (int, float)) and penalty < 0:
            ignored.append("length_penalty")
            penalty = 0.0
        found = {"width": width, "length_penalty": penalty, "length_offset": 0}
        if is_seq2seq and theirs.get("forced_bos_token_id") is not None:
            found["length_offset"] = 1  # which is counted there, and given here
        if whole(theirs, "num_beam_groups", 1) > 1:
            found |= {
                "groups": theirs["num_beam_groups"],
                "diversity": theirs.get("diversity_penalty", 0.0),
            }
        return found
    if not is_drawn:
        return {}
    if width > 1:
        ignored.append("num_beams")
    found = {"temperature": theirs.get("temperature", 1.0)}
    found["top_k"] = whole(theirs, "top_k", USUAL_TOP_K) or None
    found |= {k: theirs[k] for k, inert in FILTERS.items() if theirs.get(k, inert) != inert}
    return found


def request_of(theirs, is_seq2seq, ignored):
    """The rest of it, as `zoo.generation.usual` has it."""
    found = {}
    if theirs.get("repetition_penalty", 1) != 1:
        found["repetition_penalty"] = theirs["repetition_penalty"]
    if whole(theirs, "no_repeat_ngram_size", 0):
        found["no_repeat_ngram_size"] = theirs["no_repeat_ngram_size"]
    # Of a target they count what it starts from, and the token that is forced to stand first.
    given = 0 if not is_seq2seq else 1 if theirs.get("forced_bos_token_id") is None else 2
    if whole(theirs, "max_new_tokens", 0):
        found["max_new_tokens"] = max(theirs["max_new_tokens"] - max(given - 1, 0), 1)
    elif whole(theirs, "max_length", 0):
        name = "max_new_tokens" if is_seq2seq else "max_length"
        found[name] = max(theirs["max_length"] - given, 1)
    if whole(theirs, "min_new_tokens", 0):
        found["min_new_tokens"] = max(theirs["min_new_tokens"] - max(given - 1, 0), 0)
    elif whole(theirs, "min_length", 0):
        if is_seq2seq:
            found["min_new_tokens"] = max(theirs["min_length"] - given, 0)
        else:
            ignored.append("min_length")
    words = [word for word in theirs.get("bad_words_ids") or [] if not is_single(word)]
    words += [[token_id] for token_id in theirs.get("suppress_tokens") or []]
    if words:
        found["bad_words"] = words
    if theirs.get("forced_eos_token_id") is not None:
        if is_seq2seq:
            found["force_end"] = True
        else:
            ignored.append("forced_eos_token_id")
    return found


def is_single(word):
    """Whether a forbidden word is one token, which the special tokens have: see `roles`."""
    return isinstance(word, list) and len(word) == 1


def whole(theirs, name, default):
    value = theirs.get(name, default)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be a whole number of at least 0; got {shown(value)}")
    return value


def their_request(model):
    """`{key: value}` of generation_config.json for a task that writes; without what is usual."""
    usual, special = dict(model.usual_request), model.special_tokens
    is_seq2seq = type(model).task_name == "seq2seq"
    given = 0 if not is_seq2seq else 1 + special.num_given
    found = their_sampler(model.sampler)
    penalty = usual.get("repetition_penalty")
    if penalty is not None:
        found["repetition_penalty"] = penalty
    for name in ("max_length", "no_repeat_ngram_size"):
        if name in usual:
            found[name] = usual[name]
    for name, whole_name in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        if name in usual:
            found[whole_name if is_seq2seq else name] = usual[name] + given
    if "bad_words" in usual:
        words = [[*word] for word in usual["bad_words"]]
        found["suppress_tokens"] = [word[0] for word in words if len(word) == 1]
        found["bad_words_ids"] = [word for word in words if len(word) > 1]
        found |= {"bad_words_ids": found["bad_words_ids"] + [[i] for i in special.never]}
    if usual.get("force_end") and special.end is not None:
        found["forced_eos_token_id"] = special.end
    return {key: value for key, value in found.items() if value not in (None, [])}


def their_sampler(sampler):
    """What of it their config has; the greedy one says nothing."""
    if isinstance(sampler, Beam):
        found = {"num_beams": sampler.width, "length_penalty": sampler.length_penalty}
        if sampler.groups > 1:
            found |= {"num_beam_groups": sampler.groups, "diversity_penalty": sampler.diversity}
        return found
    if not isinstance(sampler, Sampler) or sampler.temperature == 0:
        penalty = getattr(sampler, "repetition_penalty", 1.0)
        return {} if penalty == 1 else {"repetition_penalty": penalty}
    found = {"do_sample": True, "temperature": sampler.temperature, "top_k": sampler.top_k or 0}
    found |= {name: getattr(sampler, name) for name in FILTERS}
    if sampler.repetition_penalty != 1:
        found["repetition_penalty"] = sampler.repetition_penalty
    return found
