"""The ways to go on from a text, by the names that the field has for them."""

import numpy as np

from zoo.generation.beam import Searching, best
from zoo.generation.checks import check_number, check_whole
from zoo.generation.drawing import Drawing, drawn
from zoo.generation.noise import uniform_noise


class Sampler:
    """Draw from the model's distribution, reshaped and cut by the filters that are given.

    The order is that of common practice: repetition penalty, temperature, then top-k, top-p and
    min-p together, each judging the same distribution; what is left is drawn from.

    Args:
        temperature: float, at least 0: divides the logits. 0 is greedy.
        top_k: int, keep the k likeliest tokens; None for all. Fan et al., 2018,
            https://arxiv.org/abs/1805.04833
        top_p: float in (0, 1], keep the likeliest tokens until together they reach p. Holtzman et
            al., 2020, https://arxiv.org/abs/1904.09751
        min_p: float in [0, 1], keep tokens at least that fraction as likely as the likeliest.
            Nguyen et al., 2024, https://arxiv.org/abs/2407.01082
        repetition_penalty: float, above 0: logits of tokens that occurred are divided by it when
            positive, multiplied when negative. Keskar et al., 2019,
            https://arxiv.org/abs/1909.05858

    Raises:
        TypeError: if an argument is not a number.
        ValueError: if a number is outside its range.
    """

    def __init__(self, temperature=1.0, top_k=None, top_p=None, min_p=None, repetition_penalty=1.0):
        rule = "at least 0 and finite (0 is greedy)"
        check_number("temperature", temperature, rule, lambda t: 0 <= t < np.inf)
        if top_k is not None:
            check_whole("top_k", top_k, hint=", or None to keep every token")
        if top_p is not None:
            rule = "above 0 and at most 1, or None to keep every token"
            check_number("top_p", top_p, rule, lambda p: 0 < p <= 1)
        if min_p is not None:
            rule = "between 0 and 1, or None to keep every token"
            check_number("min_p", min_p, rule, lambda p: 0 <= p <= 1)
        rule = "above 0 and finite (1 changes nothing)"
        check_number("repetition_penalty", repetition_penalty, rule, lambda r: 0 < r < np.inf)
        self.temperature = float(temperature)
        self.top_k = None if top_k is None else int(top_k)
        self.top_p = None if top_p is None else float(top_p)
        self.min_p = None if min_p is None else float(min_p)
        self.repetition_penalty = float(repetition_penalty)

    cache_grows = False

    @property
    def kind(self):
        """What decides which computation is compiled; the numbers are passed to it."""
        is_filtered = (self.top_k, self.top_p, self.min_p) != (None, None, None)
        return Drawing(self.temperature == 0, is_filtered, self.repetition_penalty != 1)

    @property
    def numbers(self):
        """float32 `(5,)`: temperature, top-k, top-p, min-p and penalty; what is None is inert."""
        return np.array(
            [
                self.temperature,
                self.top_k or np.inf,
                1.0 if self.top_p is None else self.top_p,
                self.min_p or 0.0,
                self.repetition_penalty,
            ],
            "float32",
        )

    def copies(self, num_return):
        """How many continuations of a text are carried side by side."""
        return num_return

    def check(self, num_choices, num_return):
        """Anything can be drawn from any vocabulary."""

    def constants(self, request, seeds, room):
        """What its computation reads, as arrays; see `zoo.generation.Decoder.start`."""
        num_return, num_steps = request.num_return, request.max_new_tokens
        seeds, prompts = (np.repeat(x, num_return) for x in seeds)
        samples = np.arange(len(seeds)) % num_return
        noise = np.zeros((len(seeds), room), "float32")
        if not self.kind.is_greedy:
            noise[:, :num_steps] = uniform_noise(seeds, prompts, samples, num_steps)
        return {"numbers": self.numbers, "noise": noise}

    def results(self, decoding, request, stop_ids):
        """For each text a list of `num_return` lists of token ids, without what ended them."""
        return drawn(decoding.tokens, request.num_return, stop_ids)

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({arguments})"


class Greedy(Sampler):
    """Always the likeliest token."""

    def __init__(self, repetition_penalty=1.0):
        super().__init__(temperature=0.0, repetition_penalty=repetition_penalty)


class Temperature(Sampler):
    """Draw from the whole distribution, sharper below 1 and flatter above."""

    def __init__(self, temperature=1.0, repetition_penalty=1.0):
        super().__init__(temperature, repetition_penalty=repetition_penalty)


class TopK(Sampler):
    """Draw from the k likeliest tokens."""

    def __init__(self, k=50, temperature=1.0, repetition_penalty=1.0):
        super().__init__(temperature, top_k=k, repetition_penalty=repetition_penalty)


class TopP(Sampler):
    """Draw from the likeliest tokens that together reach probability p."""

    def __init__(self, p=0.9, temperature=1.0, repetition_penalty=1.0):
        super().__init__(temperature, top_p=p, repetition_penalty=repetition_penalty)


class MinP(Sampler):
    """Draw from tokens at least p times as likely as the likeliest."""

    def __init__(self, p=0.1, temperature=1.0, repetition_penalty=1.0):
        super().__init__(temperature, min_p=p, repetition_penalty=repetition_penalty)


class Beam:
    """Keep the `width` likeliest hypotheses at each step, and return those of the best score.

    `score = log p / ((5 + length) / 6)^length_penalty`, the length that of the hypothesis with its
    end token: Wu et al., 2016, section 7, https://arxiv.org/abs/1609.08144. A finished hypothesis
    keeps its place among the `width`, so that fewer are searched on. The search ends when no
    other can have a better score than those that are asked for. Nothing is drawn: there is one
    result for each model and text, and `Beam(1)` is greedy.

    ```python
    model.generate(texts, sampler=zoo.generation.Beam(5), num_return=3)  # the 3 best of each
    ```

    Args:
        width: int, at least 1 and at most the size of the vocabulary.
        length_penalty: float, at least 0: above 0 it favours longer hypotheses.

    Raises:
        TypeError: if an argument is not a number.
        ValueError: if a number is outside its range.
    """

    def __init__(self, width=5, length_penalty=0.6):
        check_whole("width", width)
        rule = "at least 0"
        check_number("length_penalty", length_penalty, rule, lambda p: 0 <= p < float("inf"))
        self.width = int(width)
        self.length_penalty = float(length_penalty)

    cache_grows = True

    @property
    def kind(self):
        """What decides which computation is compiled."""
        return Searching(self.width)

    def copies(self, num_return):
        """How many hypotheses of a text are carried side by side."""
        return self.width

    def check(self, num_choices, num_return):
        """Raise ValueError if there are not enough tokens or hypotheses."""
        if self.width > num_choices:
            raise ValueError(
                f"A beam's width must be at most the size of the vocabulary, {num_choices}; got "
                f"{self.width}."
            )
        if num_return > self.width:
            raise ValueError(
                f"num_return must be at most the beam's width, {self.width}; got {num_return}."
            )

    def constants(self, request, seeds, room):
        """What its computation reads, as arrays; see `zoo.generation.Decoder.start`."""
        return {
            "length_penalty": np.array(self.length_penalty, "float32"),
            "num_return": np.array(request.num_return, "int32"),
            "max_new_tokens": np.array(request.max_new_tokens, "int32"),
        }

    def results(self, decoding, request, stop_ids):
        """For each text a list of `num_return` lists of token ids, without what ended them."""
        found = self.hypotheses(decoding, request)
        ends = set(stop_ids)
        return [[ids[:-1] if ends & {*ids[-1:]} else ids for ids, _ in few] for few in found]

    def hypotheses(self, decoding, request):
        """For each text a list of `num_return` pairs, the best first: token ids and score."""
        asked = request.num_return, request.max_new_tokens
        return best(decoding.state, self.length_penalty, *asked)

    def __repr__(self):
        return f"Beam({self.width}, length_penalty={self.length_penalty!r})"


SAMPLERS = {
    "greedy": Greedy,
    "sample": Sampler,
    "top_k": TopK,
    "top_p": TopP,
    "min_p": MinP,
    "beam": Beam,
}
NUMBERS = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")  # of a `Sampler`


def get_sampler(sampler):
    """A `Sampler` or `Beam` as itself, by one of the names of `SAMPLERS`, or from `vars` of one."""
    if isinstance(sampler, (Sampler, Beam)):
        return sampler
    if isinstance(sampler, dict) and sampler.keys() <= {*NUMBERS, "width", "length_penalty"}:
        return Beam(**sampler) if "width" in sampler else Sampler(**sampler)
    if isinstance(sampler, str) and sampler in SAMPLERS:
        return SAMPLERS[sampler]()
    *names, last = map(repr, SAMPLERS)
    raise ValueError(
        f"sampler must be {', '.join(names)}, {last} or a zoo.generation sampler such as "
        f"TopP(p=0.9); got {sampler!r}."
    )
