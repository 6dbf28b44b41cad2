"""The ladder's table and picture, of what its recipe measured."""

COLORS = {"bigram": "#bbbbbb", "5-gram": "#888888", "lstm": "#d98032", "gpt": "#3b6fb6"}
NAMES = {"bigram": "bigram counts", "5-gram": "5-gram counts", "lstm": "LSTM", "gpt": "GPT"}


def table(found):
    """Measurements, `{corpus: {model: numbers}}`, as a Markdown table."""
    lines = [
        "| corpus | model | parameters | tokens read | perplexity per word | per byte "
        "| training tokens/s | generated tokens/s |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for corpus, rungs in found.items():
        for model, numbers in rungs.items():
            lines.append(
                f"| {corpus} | {NAMES[model]} | {numbers['parameters'] / 1e6:.1f} M "
                f"| {numbers['tokens'] / 1e6:.1f} M | {numbers['per_word']:.1f} "
                f"| {numbers['per_byte']:.3f} | {numbers['trained_per_second']:,.0f} "
                f"| {numbers['generated_per_second']:,.0f} |"
            )
    return "\n".join(lines) + "\n"


def draw(found, picture):
    """Perplexity per word of each rung, a panel for each corpus, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    found = {corpus: rungs for corpus, rungs in found.items() if rungs}
    figure, panels = pyplot.subplots(
        1, len(found), figsize=(4.5 * len(found), 3.6), layout="constrained", squeeze=False
    )
    for axes, (corpus, rungs) in zip(panels[0], found.items(), strict=True):
        values = [numbers["per_word"] for numbers in rungs.values()]
        labels = [NAMES[model].replace(" ", "\n") for model in rungs]
        bars = axes.bar(labels, values, color=[COLORS[model] for model in rungs])
        axes.bar_label(bars, fmt="%.0f")
        axes.set_title(corpus)
        axes.set_ylabel("perplexity per word")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=120)
    pyplot.close(figure)
