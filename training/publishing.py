"""From a trained model to a preset folder: measurements, a picture of the run, and a card."""

import json
import math
import shutil
import tempfile
from pathlib import Path

import zoo
from zoo.files import replacing, write_atomically
from zoo.folders import replace_folder

CURVE_NAME = "loss_curve.png"


def publish(model, folder, held_out, log_file, source):
    """Evaluate a language model and write its preset folder, half-precision weights included.

    The README.md in the folder is kept, with what stands between its measurement marks replaced.

    Args:
        model: a `zoo.CausalLM` with a tokenizer.
        folder: the preset folder.
        held_out: dict of corpus name to a list of texts that the model has not seen.
        log_file: the log of the run, JSON lines with `tokens`, `loss` and `val_loss`; None for no
            picture.
        source: str, what it was trained on, for the table of presets.

    Returns:
        The measurements: a dict of corpus name, and "all", to a dict of numbers.
    """
    folder = Path(folder)
    save_beside_card(model, folder)
    model = zoo.load(folder)  # what is measured is what ships
    measured = measure(model, held_out)
    if log_file is not None:
        draw_curve(log_file, folder / CURVE_NAME)
    write_measurements(folder / "README.md", measurement_table(measured))
    write_facts(folder, source, f"perplexity {measured['all']['perplexity']:.1f}")
    return measured


def write_facts(folder, source, metric, **entries):
    """Put into a preset's configuration what the table of presets says of it.

    Args:
        folder: the preset folder.
        source: str, what it was trained on.
        metric: str, what it is worth in a few words.
        **entries: further entries of the configuration, in place of those that stand there.
    """
    path = Path(folder) / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | entries
    config["card"] = {"source": source, "licence": "Apache-2.0", "metric": metric}
    write_atomically(path, json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def save_beside_card(model, folder):
    """Write a preset in half precision into a folder that may hold a card and a tokenizer.

    The folder is replaced in one step; what else it holds is kept.
    """
    folder = Path(folder).resolve()

    def write(partial):
        if folder.is_dir():
            shutil.copytree(folder, partial, dirs_exist_ok=True)
        kept = shutil.ignore_patterns(*(["README.md"] if (partial / "README.md").exists() else []))
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / folder.name
            zoo.save(model, made, weights_dtype="float16")
            shutil.copytree(made, partial, ignore=kept, dirs_exist_ok=True)

    replace_folder(folder, write)


def measure(model, held_out):
    """Loss in nats per token, perplexity, accuracy and bits per byte, for each corpus and all."""
    measured, nats, num_tokens, num_bytes, right = {}, 0.0, 0, 0, 0.0
    for name, texts in held_out.items():
        logs = model.evaluate(texts, batch_size=8, verbose=0, return_dict=True)
        tokens = sum(len(ids) + 1 for ids in model.encode(texts))
        size = sum(len(text.encode()) for text in texts)
        measured[name] = summary(logs["loss"] * tokens, logs["accuracy"] * tokens, tokens, size)
        nats, right = nats + logs["loss"] * tokens, right + logs["accuracy"] * tokens
        num_tokens, num_bytes = num_tokens + tokens, num_bytes + size
    return {**measured, "all": summary(nats, right, num_tokens, num_bytes)}


def summary(nats, right, num_tokens, num_bytes):
    return {
        "tokens": num_tokens,
        "loss": nats / num_tokens,
        "perplexity": math.exp(nats / num_tokens),
        "accuracy": right / num_tokens,
        "bits_per_byte": nats / math.log(2) / num_bytes,
    }


def measurement_table(measured):
    """The measurements as a Markdown table."""
    lines = [
        "| held-out text | tokens | nats per token | perplexity | accuracy | bits per byte |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, m in measured.items():
        lines.append(
            f"| {name} | {m['tokens']:,} | {m['loss']:.3f} | {m['perplexity']:.1f} | "
            f"{m['accuracy']:.1%} | {m['bits_per_byte']:.3f} |"
        )
    return "\n".join(lines)


def write_measurements(card, table):
    """Replace what stands between the marks of a card."""
    text = card.read_text(encoding="utf-8")
    start, end = "<!-- measured:start -->", "<!-- measured:end -->"
    if start not in text or end not in text:
        raise ValueError(f"{card} must have the marks {start} and {end}, to write between them.")
    before, after = text.split(start)[0], text.split(end)[1]
    write_atomically(card, f"{before}{start}\n{table}\n{end}{after}")


def draw_curve(log_file, picture, measure="loss", unit="nats per token"):
    """Training and held-out loss against tokens, as a PNG.

    Args:
        log_file: JSON lines with `tokens`, the measure, and the same of held-out text.
        picture: the file to write.
        measure: str, the name of the loss in the log.
        unit: str, what it is measured in.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = [json.loads(line) for line in Path(log_file).read_text().splitlines()]
    by_step = {line["step"]: line for line in lines}  # a resumed run repeats some
    lines = [by_step[step] for step in sorted(by_step)]
    tokens = [line["tokens"] / 1e6 for line in lines]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    axes.plot(tokens, [line[measure] for line in lines], label="training")
    axes.plot(tokens, [line[f"val_{measure}"] for line in lines], label="held out")
    axes.set_xlabel("tokens seen (millions)")
    axes.set_ylabel(f"loss ({unit})")
    axes.grid(alpha=0.3)
    axes.legend()
    with replacing(picture) as scratch:
        figure.savefig(scratch, dpi=120, format="png")
    pyplot.close(figure)
