"""From claims to processes: what each process of a round measures."""

from dataclasses import dataclass
from itertools import chain, groupby

from benchmarks.claims import CLAIMS, CURVES, MOST_ROUNDS, ONLY_ONCE, Series
from benchmarks.measures import MEASURES

ALONE = {
    "load",
    "load_checkpoint",
    "train_memory",
    "tokenise",
}  # what the same process did before would count

FIRST_CALLS = {
    one
    for rows in CLAIMS.values()
    for row in rows
    if row.metric == "first_call_seconds"
    for one in row.series
}


@dataclass(frozen=True)
class Job:
    """One process: all that a library measures on one backend and size."""

    library: str
    backend: str
    sizes: str
    measures: tuple[str, ...]
    cold: bool  # its first calls are claims: nothing may have been compiled before

    @property
    def preset_of(self):
        """Which library writes the weights that it loads; None where it loads none."""
        if "load_checkpoint" in self.measures:
            return "transformers"
        return self.library if "load" in self.measures else None

    @property
    def group(self):
        """Jobs that are compared with each other."""
        return self.sizes, ALONE.intersection(self.measures)

    @property
    def series(self):
        return {Series(self.library, self.backend, self.sizes, name) for name in self.measures}

    def __str__(self):
        return f"{self.library} on {self.backend}, {self.sizes}: {', '.join(self.measures)}"


def make_schedule(names, rounds, first=0):
    """The processes that these claims and curves need, in order, as `(round, job)`.

    Rounds count from `first`. Time may end the second and later ones, so what is measured only once
    comes before them.
    """
    numbers = range(first, first + rounds)
    in_rounds = [[(number, job) for job in _round(names, number)] for number in numbers]
    wanted = [one for name in names if name in ONLY_ONCE for one in _series(name)]
    taken = {one for schedule in in_rounds for _, job in schedule for one in job.series}
    once = [(0, job) for job in _group([one for one in wanted if one not in taken])]
    return list(chain(*in_rounds[:1], once, *in_rounds[1:]))


def _round(names, number):
    """Ours stands next to its peers, in every second round behind them."""
    names = [name for name in names if name not in ONLY_ONCE]
    names = [name for name in names if number < MOST_ROUNDS.get(name, number + 1)]
    jobs = _group([one for name in names for one in _series(name)])
    if number % 2:
        groups = [list(group) for _, group in groupby(jobs, lambda job: job.group)]
        jobs = [job for group in groups for job in reversed(group)]
    return jobs


def _series(name):
    if name in CURVES:
        return CURVES[name]
    return [one for row in CLAIMS[name] for one in row.series]


def _group(series):
    groups = {}
    for one in series:
        alone = one.measure if one.measure in ALONE else None
        groups.setdefault((one.library, one.backend, one.sizes, alone), set()).add(one)
    jobs = []
    for (library, backend, sizes, _), members in groups.items():
        wanted = {one.measure for one in members}
        measures = tuple(name for name in MEASURES if name in wanted)
        jobs.append(Job(library, backend, sizes, measures, not FIRST_CALLS.isdisjoint(members)))
    return jobs
