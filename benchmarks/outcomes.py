"""From raw numbers to the cells of the table."""

import statistics
from dataclasses import dataclass

from benchmarks.claims import CLAIMS, LIBRARIES, Row

COLUMNS = (
    "claim",
    "backend",
    "ours",
    "peer",
    "ratio ours / peer: median (min to max)",
    "target",
    "met",
)
UNITS = {
    "tokens_per_second": (1, "tokens/s"),
    "texts_per_second": (1, "texts/s"),
    "megabytes_per_second": (1, "MB/s"),
    "seconds": (1, "s"),
    "first_call_seconds": (1, "s"),
    "bytes": (1e6, "MB"),
}


@dataclass(frozen=True)
class Outcome:
    """A row of the table with its numbers; those that are missing are None."""

    row: Row
    ours: float | None
    peer: float | None
    ratios: tuple[float, ...]
    our_error: str | None
    peer_error: str | None

    @property
    def is_measured(self):
        numbers = (self.ours, self.peer, self.our_error, self.peer_error)
        return any(number is not None for number in numbers)

    @property
    def ratio(self):
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def met(self):
        if self.ratio is not None:
            return "yes" if self.row.is_met_by(self.ratio) else "no"
        if self.our_error:
            return "no"
        return "peer fails" if self.peer_error else "not measured"

    @property
    def cells(self):
        peer = LIBRARIES.get(self.row.against, "the best of them")
        return (
            self.row.claim,
            self.row.backend,
            _shown(self.ours, self.our_error, self.row.metric),
            f"{peer}: {_shown(self.peer, self.peer_error, self.row.metric)}",
            self._shown_ratio,
            self.row.target,
            self.met,
        )

    @property
    def _shown_ratio(self):
        if not self.ratios:
            return ""
        if len(self.ratios) == 1:
            return f"{self.ratio:.2f} (1 round)"
        least, most = min(self.ratios), max(self.ratios)
        return f"{self.ratio:.2f} ({least:.2f} to {most:.2f})"


def make_outcomes(results):
    """An outcome for each row of each claim."""
    return [_outcome(row, results) for rows in CLAIMS.values() for row in rows]


def _outcome(row, results):
    best = max if row.at_most is None else min
    ours = _by_round(row.ours, row.metric, results, best)
    peers = _by_round(row.peers, row.metric, results, best)
    # Only numbers of the same round of the same run met the same noise.
    shared = sorted(ours.keys() & peers.keys())
    return Outcome(
        row,
        statistics.median(ours.values()) if ours else None,
        statistics.median(peers.values()) if peers else None,
        tuple(ours[when] / peers[when] for when in shared),
        None if ours else _first_error(row.ours, results),
        None if peers else _first_error(row.peers, results),
    )


def _by_round(choices, metric, results, best):
    """`{(run, round): number}`: in each round the best of several series."""
    numbers = {}
    for series in choices:
        for when, number in results.values(series, metric).items():
            numbers[when] = best(numbers.get(when, number), number)
    return numbers


def _first_error(choices, results):
    return next(filter(None, (results.error(series) for series in choices)), None)


def _shown(number, error, metric):
    if number is None:
        return f"fails: {error}" if error else "not measured"
    scale, unit = UNITS[metric]
    number /= scale
    return f"{number:,.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"
