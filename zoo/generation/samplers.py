"""The two ways to go on from a text: draw from a distribution, or search for the likeliest."""

import numpy as np

from zoo.generation.beam import Searching, best
from zoo.generation.checks import check_number, check_whole
from zoo.generation.drawing import Drawing, drawn
from zoo.generation.noise import uniform_noise
from zoo.generation.processors import RepetitionPenalty
from zoo.generation.scores import Scores, scored


class Sampler:
    """Draw from the model's distribution, reshaped and cut by the filters that are given.

    The order is that of common practice: repetition penalty, temperature, then top-k, top-p, min-p
    and the others together, each judging the same distribution; what is left is drawn from.

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
        typical_p: float in (0, 1], keep the tokens whose surprise is nearest to the expected one
            until together they reach p. Meister et al., 2023, https://arxiv.org/abs/2202.00666
        eta_cutoff: float in [0, 1), keep tokens that are at least as likely as it, or as
            `sqrt(eta_cutoff) * exp(-entropy)` where that is less. Hewitt et al., 2022,
            https://arxiv.org/abs/2210.15191

    Raises:
        TypeError: if an argument is not a number.
        ValueError: if a number is outside its range.
    """

    def __init__(
        self,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        typical_p: float | None = None,
        eta_cutoff: float | None = None,
    ) -> None:
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
        if typical_p is not None:
            rule = "above 0 and at most 1, or None to keep every token"
            check_number("typical_p", typical_p, rule, lambda p: 0 < p <= 1)
        if eta_cutoff is not None:
            rule = "at least 0 and below 1, or None to keep every token"
            check_number("eta_cutoff", eta_cutoff, rule, lambda e: 0 <= e < 1)
        RepetitionPenalty(repetition_penalty)  # checks it
        self.temperature = float(temperature)
        self.top_k = None if top_k is None else int(top_k)
        self.top_p = None if top_p is None else float(top_p)
        self.min_p = None if min_p is None else float(min_p)
        self.repetition_penalty = float(repetition_penalty)
        self.typical_p = None if typical_p is None else float(typical_p)
        self.eta_cutoff = None if eta_cutoff is None else float(eta_cutoff)

    cache_grows = False

    @property
    def kind(self):
        """What decides which computation is compiled; the numbers are passed to it."""
        is_typical = self.typical_p is not None
        filters = self.top_k, self.top_p, self.min_p, self.eta_cutoff
        return Drawing(self.temperature == 0, is_typical or any(filters), is_typical)

    @property
    def processors(self):
        """What it asks beside the distribution."""
        if self.repetition_penalty == 1:
            return ()
        return (RepetitionPenalty(self.repetition_penalty),)

    @property
    def numbers(self):
        """float32 `(6,)`: the temperature and the filters' numbers; what is None is inert."""
        return np.array(
            [
                self.temperature,
                self.top_k or np.inf,
                1.0 if self.top_p is None else self.top_p,
                self.min_p or 0.0,
                1.0 if self.typical_p is None else self.typical_p,
                self.eta_cutoff or 0.0,
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

    def scored_results(self, decoding, request, stop_ids):
        """The same, in pairs with the `Scores` of each."""
        found = self.results(decoding, request, stop_ids)
        return scored(found, decoding.tokens, decoding.noted(), request.num_return)

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({arguments})"


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
        groups: int, a divisor of the width: so many beams, each of which avoids the tokens that
            those before it choose at the same step. Vijayakumar et al., 2018,
            https://arxiv.org/abs/1610.02424
        diversity: float, at least 0: what a token's log-probability is lowered by in the choice of
            a group for each time that a group before it chose it. Scores stay as they are.
        length_offset: int, at least 0, the 5 of the score. transformers has 0.

    Raises:
        TypeError: if an argument is not a number.
        ValueError: if a number is outside its range.
    """

    def __init__(
        self,
        width: int = 5,
        length_penalty: float = 0.6,
        groups: int = 1,
        diversity: float = 0.5,
        length_offset: int = 5,
    ) -> None:
        check_whole("width", width)
        rule = "at least 0"
        check_number("length_penalty", length_penalty, rule, lambda p: 0 <= p < float("inf"))
        check_whole("groups", groups)
        check_number("diversity", diversity, rule, lambda d: 0 <= d < float("inf"))
        if width % groups:
            raise ValueError(f"groups must divide the beam's width, {width}; got {groups}.")
        check_whole("length_offset", length_offset, least=0)
        self.width = int(width)
        self.length_penalty = float(length_penalty)
        self.groups = int(groups)
        self.diversity = float(diversity)
        self.length_offset = int(length_offset)

    cache_grows = True

    @property
    def kind(self):
        """What decides which computation is compiled."""
        return Searching(self.width, self.groups)

    processors = ()

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
            "length_offset": np.array(self.length_offset, "float32"),
            "diversity": np.array(self.diversity, "float32"),
            "num_return": np.array(request.num_return, "int32"),
            "max_new_tokens": np.array(request.max_new_tokens, "int32"),
        }

    def results(self, decoding, request, stop_ids):
        """For each text a list of `num_return` lists of token ids, without what ended them."""
        found = self._found(decoding, request)
        return [[_without_end(ids, stop_ids) for ids, *_ in few] for few in found]

    def scored_results(self, decoding, request, stop_ids):
        """The same, in pairs with the `Scores` of each."""
        return [
            [
                (_without_end(ids, stop_ids), Scores(ids, **numbers, score=score))
                for ids, score, numbers in few
            ]
            for few in self._found(decoding, request)
        ]

    def hypotheses(self, decoding, request):
        """For each text a list of `num_return` pairs, the best first: token ids and score."""
        found = self._found(decoding, request)
        return [[(ids, score) for ids, score, _ in few] for few in found]

    def _found(self, decoding, request):
        asked = request.num_return, request.max_new_tokens
        return best(decoding.outcomes(), self.length_penalty, *asked, self.length_offset)

    def __repr__(self):
        groups = f", groups={self.groups}, diversity={self.diversity!r}" if self.groups > 1 else ""
        return f"Beam({self.width}, length_penalty={self.length_penalty!r}{groups})"


def _without_end(ids, stop_ids):
    return ids[:-1] if set(stop_ids) & {*ids[-1:]} else ids
