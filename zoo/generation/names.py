"""Samplers by the names that the field has for them."""

from typing import Any

from zoo.generation.contrastive import Contrastive
from zoo.generation.samplers import Beam, Sampler


class Greedy(Sampler):
    """Always the likeliest token."""

    def __init__(self, repetition_penalty: float = 1.0) -> None:
        super().__init__(temperature=0.0, repetition_penalty=repetition_penalty)


class Temperature(Sampler):
    """Draw from the whole distribution, sharper below 1 and flatter above."""

    def __init__(self, temperature: float = 1.0, repetition_penalty: float = 1.0) -> None:
        super().__init__(temperature, repetition_penalty=repetition_penalty)


class TopK(Sampler):
    """Draw from the k likeliest tokens."""

    def __init__(
        self, k: int = 50, temperature: float = 1.0, repetition_penalty: float = 1.0
    ) -> None:
        super().__init__(temperature, top_k=k, repetition_penalty=repetition_penalty)


class TopP(Sampler):
    """Draw from the likeliest tokens that together reach probability p."""

    def __init__(
        self, p: float = 0.9, temperature: float = 1.0, repetition_penalty: float = 1.0
    ) -> None:
        super().__init__(temperature, top_p=p, repetition_penalty=repetition_penalty)


class MinP(Sampler):
    """Draw from tokens at least p times as likely as the likeliest."""

    def __init__(
        self, p: float = 0.1, temperature: float = 1.0, repetition_penalty: float = 1.0
    ) -> None:
        super().__init__(temperature, min_p=p, repetition_penalty=repetition_penalty)


KINDS = Sampler, Beam, Contrastive
SAMPLERS = {
    "greedy": Greedy,
    "sample": Sampler,
    "top_k": TopK,
    "top_p": TopP,
    "min_p": MinP,
    "beam": Beam,
    "contrastive": Contrastive,
}
NUMBERS = (  # of a `Sampler`, and that of a `Contrastive`
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "eta_cutoff",
    "penalty_alpha",
)
OF_BEAMS = ("width", "length_penalty", "groups", "diversity", "length_offset")
KNOWN = {*NUMBERS, "repetition_penalty", *OF_BEAMS}


def get_sampler(sampler: Any) -> Sampler | Beam | Contrastive:
    """A sampler as itself, by one of the names of `SAMPLERS`, or from `vars` of one."""
    if isinstance(sampler, KINDS):
        return sampler
    if isinstance(sampler, dict) and sampler.keys() <= KNOWN:
        own = {"width": Beam, "penalty_alpha": Contrastive}  # what only these have
        return next((own[name] for name in own if name in sampler), Sampler)(**sampler)
    if isinstance(sampler, str) and sampler in SAMPLERS:
        return SAMPLERS[sampler]()
    *names, last = map(repr, SAMPLERS)
    raise ValueError(
        f"sampler must be {', '.join(names)}, {last} or a zoo.generation sampler such as "
        f"TopP(p=0.9); got {sampler!r}."
    )
