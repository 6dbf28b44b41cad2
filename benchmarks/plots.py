"""The curves as pictures."""

from dataclasses import dataclass

from benchmarks.claims import CURVES, LIBRARIES
from benchmarks.sizes import SIZES

BACKEND_COLOURS = {"jax": "tab:blue", "tensorflow": "tab:orange", "torch": "tab:red"}
LIBRARY_COLOURS = {"zoo": "tab:blue", "keras_hub": "tab:orange", "transformers": "tab:green"}
LINES = {"zoo": "-", "keras_hub": "--", "transformers": ":"}


@dataclass(frozen=True)
class Plot:
    """The words and the scales of one picture."""

    curve: str
    title: str
    across: str
    up: str
    scales: tuple[str, str]


PLOTS = (
    Plot(
        "train-curve",
        "A training step against its length (6 layers, 320 wide, batch of one row)",
        "tokens in the row",
        "seconds a step",
        ("log", "log"),
    ),
    Plot(
        "decode-curve",
        "A token against its position (6 layers, 320 wide, batch 1)",
        "position in the continuation",
        "seconds a token",
        ("linear", "linear"),
    ),
    Plot(
        "load-curve",
        "From the start of a process to its first logits",
        "parameters",
        "seconds, imports included",
        ("log", "linear"),
    ),
)


def draw_plots(results, folder):
    """Write a PNG for each curve that was measured. Returns their names and titles."""
    drawn = []
    for plot in PLOTS:
        lines = _lines(plot.curve, results)
        if lines:
            folder.mkdir(parents=True, exist_ok=True)
            _draw(plot, lines, folder / f"{plot.curve}.png")
            drawn.append((f"{plot.curve}.png", plot.title))
    return drawn


def _lines(name, results):
    """`{(library, backend): (xs, ys)}` of a curve."""
    lines = {}
    for series in CURVES[name]:
        seconds = results.values(series, "seconds")
        if not seconds:
            continue
        first = min(seconds)
        if series.measure == "load":
            xs, ys = [SIZES[series.sizes].num_parameters], [seconds[first]]
        else:
            xs, ys = results.values(series, "x")[first], seconds[first]
        line = lines.setdefault((series.library, series.backend), ([], []))
        line[0].extend(xs)
        line[1].extend(ys)
    return lines


def _draw(plot, lines, path):
    # Here, as everything but drawing does without it.
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot(xlabel=plot.across, ylabel=plot.up)
    axes.set(xscale=plot.scales[0], yscale=plot.scales[1])
    one_backend = len({backend for _, backend in lines}) == 1
    for (library, backend), (xs, ys) in lines.items():
        axes.plot(
            xs,
            ys,
            LINES[library],
            color=LIBRARY_COLOURS[library] if one_backend else BACKEND_COLOURS[backend],
            marker="o",
            markersize=4,
            label=f"{LIBRARIES[library]}, {backend}",
        )
    ticks = sorted({x for xs, _ in lines.values() for x in xs})
    axes.set_xticks(ticks, [_short(x) for x in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    if plot.scales[1] == "linear":
        axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    figure.suptitle(plot.title, fontsize="medium")
    figure.legend(loc="outside right center", fontsize="small")
    figure.savefig(path, dpi=120)


def _short(number):
    return f"{number / 1e6:.0f} M" if number >= 1e6 else f"{number:,.0f}"
