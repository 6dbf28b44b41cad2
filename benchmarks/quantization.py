"""What int8 and int4 do to each bundled preset: quality and size, before and after.

    python -m benchmarks.quantization held-out.txt --calibration training.txt

A language model is asked how likely it finds held-out texts (perplexity), an encoder how often it
fills a mask with the word that stood there. What an encoder-decoder makes of the texts is compared
with what it made of them before.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path

from zoo.training.metrics import bleu

import zoo

PRESETS = Path(__file__).parents[1] / "presets"
MODES = (None, "int8", "int4")
CALIBRATED = "int4, calibrated"
STRIDE = 64


def measure(name, texts, calibration=None):
    """A dict for each mode: the size on disk, and a measure of quality."""
    written = None
    for mode in MODES if calibration is None else (*MODES, CALIBRATED):
        model = zoo.load(name, quantize=None if mode == CALIBRATED else mode)
        if mode == CALIBRATED:
            model.quantize("int4", calibration=as_examples(model, calibration))
        with tempfile.TemporaryDirectory() as scratch:
            zoo.save(model, Path(scratch) / "saved")
            files = Path(scratch, "saved").glob("*.safetensors")
            size = sum(file.stat().st_size for file in files) / 1e6
        row = {"preset": name, "mode": mode or "float", "MB": size}
        if isinstance(model, zoo.Seq2SeqLM):
            found = model.generate(texts)
            written = written or found
            yield row | {"measure": "BLEU against floats", "value": bleu(written, found)["bleu"]}
        else:
            yield row | quality(model, texts)


def as_examples(model, texts):
    """Texts to calibrate on; those of an encoder-decoder beside what it makes of them."""
    return (texts, model.generate(texts)) if isinstance(model, zoo.Seq2SeqLM) else texts


def quality(model, texts):
    if isinstance(model, zoo.CausalLM):
        nats, tokens = model.score(texts, stride=STRIDE)
        return {"measure": "perplexity", "value": math.exp(nats.sum() / tokens.sum())}
    found = model.evaluate(texts, verbose=0, return_dict=True)
    name = "accuracy" if "accuracy" in found else "loss"
    return {"measure": name, "value": found[name]}


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quantization", description=__doc__)
    parser.add_argument("texts", type=Path, help="a UTF-8 file, a text in each line")
    parser.add_argument("--presets", nargs="+", default=trained(), help="default: all with weights")
    parser.add_argument("--calibration", type=Path, help="such a file, for int4; default: none")
    args = parser.parse_args()
    texts = lines_of(args.texts)
    calibration = None if args.calibration is None else lines_of(args.calibration)
    print("| preset | weights | MB | measure | value |\n|---|---|---|---|---|")
    for name in args.presets:
        for row in measure(name, texts, calibration):
            print("| {preset} | {mode} | {MB:.1f} | {measure} | {value:.4g} |".format(**row))


def lines_of(path):
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def trained():
    """Bundled presets with weights that can be scored on plain texts."""
    return sorted(
        path.parent.name
        for path in PRESETS.glob("*/model.safetensors")
        if json.loads((path.parent / "config.json").read_text())["task"]
        in ("causal_lm", "seq2seq", "masked_lm", "pretraining")
    )


if __name__ == "__main__":
    main()
