"""What a call of `generate` or `stream` asks for, checked."""

import random
from dataclasses import dataclass

import numpy as np

from zoo.checks import require_flag
from zoo.data.arguments import require_verbose
from zoo.generation.asking import processors_of, vocabulary_of
from zoo.generation.checks import check_seed, check_whole
from zoo.generation.contrastive import Contrastive
from zoo.generation.names import KINDS, NUMBERS, get_sampler
from zoo.generation.past import Processing
from zoo.generation.processors import ForcedEnd
from zoo.generation.samplers import Beam, Sampler
from zoo.generation.speculation import check_draft
from zoo.generation.usual import with_usual

OURS = {  # by the names of others, what to pass here
    "max_length": "max_new_tokens, which does not count the prompt",
    "max_tokens": "max_new_tokens",
    "min_length": "min_new_tokens, which does not count the prompt",
    "min_tokens": "min_new_tokens",
    "bad_words_ids": "bad_words",
    "sequence_bias": "logit_bias",
    "logits_processor": "processors",
    "logprobs": "return_scores=True",
    "output_scores": "return_scores=True",
    "num_beam_groups": "sampler=zoo.generation.Beam(..., groups=...)",
    "diversity_penalty": "sampler=zoo.generation.Beam(..., groups=..., diversity=...)",
    "do_sample": 'sampler="sample"',
    "num_beams": "sampler=zoo.generation.Beam(...)",
    "beam_width": "sampler=zoo.generation.Beam(...)",
    "length_penalty": "sampler=zoo.generation.Beam(..., length_penalty=...)",
    "stop_strings": "stop",
    "stop_token_ids": "special_tokens when the task is made or loaded",
    "eos_token_id": "special_tokens when the task is made or loaded",
    "assistant_model": "draft=model",
    "prompt_lookup_num_tokens": 'draft="prompt"',
    "input_ids": "the token ids as the first argument",
}


@dataclass(frozen=True)
class Request:
    """What a call of `generate` or `stream` asks for.

    Attributes:
        max_new_tokens: int, at least 1.
        sampler: a `Sampler`, `Beam` or `Contrastive`.
        seed: int, or a list with one for each prompt.
        stop: a tuple of strings.
        num_return: int, continuations of each prompt.
        batch_size: int, prompts that are continued together.
        truncate: bool, whether a prompt that is too long may be cut.
        verbose: 0 for no progress bar, 1 for one, `"auto"` for one after a few seconds.
        processors: a tuple of `zoo.generation.processors.Processor`.
        return_scores: bool, whether numbers of each token are returned.
        draft: `"prompt"` or a task that guesses tokens; None for none.
        force_end: bool, whether the last of `max_new_tokens` must end the text.
    """

    max_new_tokens: int
    sampler: Sampler | Beam | Contrastive
    seed: int | list[int] = 0
    stop: tuple[str, ...] = ()
    num_return: int = 1
    batch_size: int = 32
    truncate: bool = False
    verbose: int | str = 0
    processors: tuple = ()
    return_scores: bool = False
    draft: object = None
    force_end: bool = False

    @classmethod
    def make(cls, task, *, sampler, seed, stop, others, caller="generate", **arguments):
        """Check the arguments of a call; raises ValueError or TypeError.

        Args:
            task: the one that writes: its `sampler` is used for one of None, its tokenizer reads
                what is asked in words.
            others: a dict of arguments by other libraries' names.
            caller: str, which method was called.
        """
        least = others.get("min_new_tokens")  # of this call: a usual one gives way
        others = with_usual(task.usual_request, sampler, others)
        force_end = others.pop("force_end", None) or False
        require_flag("force_end", force_end)
        if "num_return_sequences" in others:
            arguments["num_return"] = others.pop("num_return_sequences")
        sampler = sampler_of(sampler, task.sampler, others)
        processors = processors_of(task, sampler, others)
        for name in others:
            if name in OURS:
                raise TypeError(f"{caller} does not take {name}: pass {OURS[name]}.")
            raise TypeError(f"{caller} got an argument that it does not know, {name!r}.")
        for name in ("max_new_tokens", "num_return", "batch_size"):
            if name in arguments:
                check_whole(name, arguments[name])
                arguments[name] = int(arguments[name])
        if least is not None and least > arguments["max_new_tokens"]:
            raise ValueError(
                f"min_new_tokens must be at most max_new_tokens; got {least} and "
                f"{arguments['max_new_tokens']}."
            )
        for name in ("truncate", "strip_prompt", "return_scores"):
            if name in arguments:
                require_flag(name, arguments[name])
        arguments.pop("strip_prompt", None)  # of whoever asks
        require_verbose("verbose", arguments.get("verbose", 0))
        arguments |= {"seed": seed_of(seed), "stop": stop_of(stop), "processors": processors}
        if arguments.get("draft") is not None:
            check_draft(arguments["draft"], task, sampler, arguments.get("num_return", 1))
            arguments["batch_size"] = 1  # texts take different numbers of steps
        found = cls(sampler=sampler, force_end=force_end, **arguments)
        for processor in found.own_processors:
            processor.check(vocabulary_of(task))
        return found

    @property
    def own_processors(self):
        """Those that its other numbers decide."""
        return (ForcedEnd(self.max_new_tokens),) if self.force_end else ()

    @property
    def processing(self):
        """All that is asked of a token beside its likelihood, in order."""
        processors = (*self.sampler.processors, *self.processors, *self.own_processors)
        return Processing(tuple(sorted(processors, key=lambda processor: processor.order)))

    def seeds(self, num_prompts):
        """Two lists: the seed of each prompt, and its number among those of the same seed."""
        if isinstance(self.seed, int):
            return [self.seed] * num_prompts, list(range(num_prompts))
        if len(self.seed) != num_prompts:
            raise ValueError(
                f"seed must be one int or a list with one for each prompt; got {len(self.seed)} "
                f"seeds for {num_prompts} prompts."
            )
        return self.seed, [0] * num_prompts


def sampler_of(sampler, default, others):
    """The sampler of a call, which may give a `Sampler`'s numbers by name; takes them."""
    numbers = {name: others.pop(name) for name in NUMBERS if name in others}
    chosen = None if sampler is None else get_sampler(sampler)
    if not numbers:
        return default if chosen is None else chosen
    if isinstance(sampler, KINDS) or isinstance(chosen, Beam):
        names = ", ".join(numbers)
        raise ValueError(
            f"{names} must be said once: with sampler={sampler!r} leave it out, or make the "
            "sampler with it, as in zoo.generation.Sampler(temperature=0.8, top_p=0.9)."
        )
    if chosen is None and "penalty_alpha" in numbers:
        chosen = Contrastive()
    if isinstance(chosen, Contrastive):
        return Contrastive(**vars(chosen) | contrastive_numbers(numbers))
    if "penalty_alpha" in numbers:
        raise ValueError(
            "penalty_alpha is for a contrastive search: leave the sampler out, or pass "
            f"sampler='contrastive'; got {sampler!r}."
        )
    return Sampler(**({} if chosen is None else vars(chosen)) | numbers)


def contrastive_numbers(numbers):
    """Those that a contrastive search takes; others are refused, of which it draws nothing."""
    others = sorted(numbers.keys() - {"penalty_alpha", "top_k"})
    if others:
        raise ValueError(
            "A contrastive search takes penalty_alpha and top_k, and draws nothing: leave out "
            f"{', '.join(others)}, or use another sampler."
        )
    return numbers


def seed_of(seed):
    """A checked seed: an int, or a list of ints. None draws one, as `set_random_seed` governs."""
    if seed is None:
        return random.getrandbits(31)
    if isinstance(seed, (list, tuple, np.ndarray)) and np.ndim(seed) == 1:
        for one in seed:
            check_seed(one)
        return [int(one) for one in seed]
    check_seed(seed)
    return int(seed)


def stop_of(stop):
    """Stop strings as a tuple; None is none."""
    if stop is None:
        return ()
    several = (stop,) if isinstance(stop, str) else stop
    is_list = isinstance(several, (list, tuple, set, frozenset))
    if not is_list or not all(isinstance(s, str) and s for s in several):
        raise ValueError(f"stop must be a non-empty string or several of them; got {stop!r}.")
    return tuple(several)
