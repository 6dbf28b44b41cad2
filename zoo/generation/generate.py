"""From prompts to continuations: text or token ids in, the same kind out."""

import secrets
from dataclasses import dataclass

import numpy as np

from zoo.generation import causal_beam
from zoo.generation.beam import Beam
from zoo.generation.decoder import context_length
from zoo.generation.noise import uniform_noise
from zoo.generation.samplers import Sampler, get_sampler
from zoo.generation.stopping import StopBuffer, cut_at_stop

STOP_CHECK_EVERY = 16  # tokens between looks for a stop string


@dataclass(frozen=True)
class Request:
    """What a call of `generate` or `stream` asks for, checked."""

    max_new_tokens: int
    sampler: Sampler | Beam
    seed: int | list[int]
    stop: tuple[str, ...]
    truncate: bool

    @classmethod
    def make(cls, max_new_tokens, sampler, seed, stop, truncate):
        """Check the arguments of a call; raises ValueError or TypeError."""
        if not isinstance(max_new_tokens, (int, np.integer)) or max_new_tokens < 1:
            raise ValueError(
                f"max_new_tokens must be a whole number of at least 1; got {max_new_tokens!r}."
            )
        stop = (stop,) if isinstance(stop, str) else tuple(stop)
        if not all(isinstance(s, str) and s for s in stop):
            raise ValueError(f"stop must be a non-empty string or several of them; got {stop!r}.")
        if seed is None:
            seed = secrets.randbits(31)
        return cls(int(max_new_tokens), get_sampler(sampler), seed, stop, truncate)

    def seeds(self, num_prompts):
        """The seed of each prompt: `seed + i`, or its own from a list."""
        if isinstance(self.seed, (int, np.integer)):
            return [int(self.seed) + i for i in range(num_prompts)]
        if len(self.seed) != num_prompts:
            raise ValueError(
                f"seed must be one int or a list with one for each prompt; got {len(self.seed)} "
                f"seeds for {num_prompts} prompts."
            )
        return [int(seed) for seed in self.seed]


def generate(model, prompts, request, num_return=1, strip_prompt=False):
    """Continue prompts; see `zoo.CausalLM.generate`."""
    if num_return < 1:
        raise ValueError(f"num_return must be at least 1; got {num_return!r}.")
    prompts, is_single, is_text = as_batch(prompts)
    if not prompts:
        return []
    _check_stop(model, request, is_text)
    token_ids = [_fit(ids, model, request) for ids in _encode(model, prompts, is_text)]
    find = _search if isinstance(request.sampler, Beam) else _sample
    continuations = find(model, token_ids, request, num_return)
    if is_text:
        texts = model.tokenizer.decode(continuations)
        continuations = [cut_at_stop(text, request.stop) for text in texts]
    else:
        prompts = token_ids
    results = []
    for i, prompt in enumerate(prompts):
        mine = continuations[i * num_return : (i + 1) * num_return]
        whole = mine if strip_prompt else [prompt + new for new in mine]
        results.append(whole[0] if num_return == 1 else whole)
    return results[0] if is_single else results


def _search(model, token_ids, request, num_return):
    """The best continuations of each prompt, `num_return` rows for each."""
    ends = stop_ids(model)
    found = causal_beam.search(
        model, token_ids, request.max_new_tokens, request.sampler, num_return, ends
    )
    return [until_end(ids, ends) for hypotheses in found for ids, _ in hypotheses]


def _sample(model, token_ids, request, num_return):
    """Continuations that are drawn, `num_return` rows for each prompt."""
    samples = np.tile(np.arange(num_return), len(token_ids))
    noise = uniform_noise(
        np.repeat(request.seeds(len(token_ids)), num_return), samples, request.max_new_tokens
    )
    rows = [ids for ids in token_ids for _ in range(num_return)]
    decoding = model.decoder.start(
        rows, request.max_new_tokens, request.sampler, noise, stop_ids(model)
    )
    while not decoding.is_done:
        decoding.advance(STOP_CHECK_EVERY if request.stop else request.max_new_tokens)
        if request.stop:
            texts = [model.tokenizer.decode(row) for row in _new_tokens(model, decoding)]
            decoding.finish(np.array([cut_at_stop(text, request.stop) != text for text in texts]))
    return _new_tokens(model, decoding)


def stream(model, prompt, request):
    """Yield a prompt's continuation piece by piece; see `zoo.CausalLM.stream`."""
    prompts, is_single, is_text = as_batch(prompt)
    if not is_single:
        raise ValueError(f"stream continues one prompt at a time; got {len(prompts)}.")
    if isinstance(request.sampler, Beam):
        raise ValueError(
            "stream yields each token as it is chosen, but a beam search chooses at its end: use "
            f"generate, or another sampler than {request.sampler!r}."
        )
    _check_stop(model, request, is_text)
    (token_ids,) = _encode(model, prompts, is_text)
    noise = uniform_noise(request.seeds(1), [0], request.max_new_tokens)
    start = [_fit(token_ids, model, request)], request.max_new_tokens, request.sampler, noise
    pieces = _stream_ids(model, start)
    return _stream_text(model, pieces, request.stop) if is_text else pieces


def _stream_ids(model, start):
    ends = stop_ids(model)
    decoding = model.decoder.start(*start, ends)
    while True:
        token = int(decoding.tokens[0, -1])
        if token in ends:
            return
        yield token
        if decoding.is_done:
            return
        decoding.advance(1)


def _stream_text(model, token_ids, stop):
    pieces = model.tokenizer.stream_decoder()
    buffer = StopBuffer(stop)
    for token in token_ids:
        text = buffer.add(pieces.put(token))
        if text:
            yield text
        if buffer.stopped:
            return
    text = buffer.add(pieces.flush()) + buffer.flush()
    if text:
        yield text


def as_batch(prompts):
    """Prompts as a list, whether there was just one, and whether they are text."""
    if isinstance(prompts, str):
        return [prompts], True, True
    if isinstance(prompts, np.ndarray):
        prompts = prompts.tolist()
    if isinstance(prompts, (list, tuple)):
        if all(isinstance(p, str) for p in prompts):
            return list(prompts), False, True
        if all(isinstance(p, (int, np.integer)) and not isinstance(p, bool) for p in prompts):
            return [list(prompts)], True, False
        if all(isinstance(p, (list, tuple, np.ndarray)) for p in prompts):
            return [list(p) for p in prompts], False, False
    raise TypeError(
        "A prompt must be a string, a list of strings, a list of token ids, or a list of such "
        f"lists; got {type(prompts).__name__}: {str(prompts)[:60]!r}."
    )


def stop_ids(model):
    """Ids after which a text is over."""
    return [] if model.tokenizer is None else [model.tokenizer.end_id]


def _encode(model, prompts, is_text):
    if not is_text:
        return [check_ids(ids, model.backbone.vocab_size) for ids in prompts]
    return [ids or [model.tokenizer.end_id] for ids in model.encode(prompts)]


def check_ids(token_ids, vocab_size):
    ids = np.asarray(token_ids)
    if ids.ndim != 1 or ids.size == 0 or ids.dtype.kind not in "iu":
        raise ValueError(
            "A prompt of token ids must be a list of at least one whole number; got "
            f"{str(token_ids)[:60]}."
        )
    if ids.min() < 0 or ids.max() >= vocab_size:
        raise ValueError(
            f"Token ids must be from 0 to {vocab_size - 1}, the model's vocabulary; got "
            f"{int(ids.min() if ids.min() < 0 else ids.max())}. Encode with the model's tokenizer."
        )
    return ids.tolist()


def _fit(token_ids, model, request):
    """The prompt, or its end where it is longer than the context allows and may be cut."""
    room = context_length(model.backbone) - request.max_new_tokens
    if len(token_ids) <= room:
        return token_ids
    if not request.truncate or room < 1:
        raise ValueError(
            f"The prompt's {len(token_ids)} tokens and max_new_tokens={request.max_new_tokens} "
            f"must fit into the context of {model.backbone.max_length} tokens. Ask for fewer "
            "tokens, or pass truncate=True to keep only the end of the prompt."
        )
    return token_ids[-room:]


def _check_stop(model, request, is_text):
    if request.stop and not is_text:
        raise ValueError("stop takes strings, so the prompt must be text; got token ids.")
    if is_text:
        model.require_tokenizer()


def _new_tokens(model, decoding):
    """The new tokens of each row, up to its end token."""
    ends = stop_ids(model)
    return [until_end(row, ends) for row in decoding.tokens.tolist()]


def until_end(token_ids, ends):
    """The ids before the first of those that end a text."""
    stops = [i for i, token in enumerate(token_ids) if token in ends]
    return token_ids[: stops[0]] if stops else token_ids
