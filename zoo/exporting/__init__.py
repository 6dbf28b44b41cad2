"""Trained tasks as artefacts that run without this library."""

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from zoo.backends import backend
from zoo.exporting import checks
from zoo.folders import replace_folder, replaceable_path
from zoo.progress import Progress
from zoo.saving import save
from zoo.tasks import Task


def export(model: Task, path: str | os.PathLike, format: str = "saved_model") -> None:
    """Write a task as a TensorFlow SavedModel, whose only need is TensorFlow.

    ```python
    zoo.export(model, "served")
    signatures = tensorflow.saved_model.load("served").signatures  # in any other process
    signatures["score"](text=tensorflow.constant(["It was a dark night."]))
    ```

    Its signatures take and return tensors by name. Those of every task:

    - `serving_default`: `token_ids` int32 `(batch, length)`, `padding_mask` bool
      `(batch, length)` and, where the backbone has segments, `segment_ids` int32
      `(batch, length)` to the task's output, `logits` or `embedding` float32, or by its names. A
      `zoo.Seq2SeqLM` also takes `decoder_token_ids` int32 `(batch, target_length)`.
    - `tokenize`: `text` string `(batch,)` to `token_ids` and `padding_mask`, the inputs of
      `serving_default`, a `zoo.Seq2SeqLM`'s source among them: each row is a text's ids, with
      the special tokens that the task puts around them, then zeros.

    Those of `zoo.CausalLM`:

    - `generate`: `text` string `(batch,)` and the scalars `max_new_tokens` int32, `temperature`
      float32, `top_p` float32, `seed` int32 and `truncate` bool to `text` string `(batch,)`, each
      prompt with its continuation: that of `model.generate(text, max_new_tokens,
      Sampler(temperature, top_p=top_p), seed, truncate=truncate)`. Temperature 0 is greedy, `top_p`
      1 keeps every token. A prompt that is too long is refused, or with `truncate` its end is read.
    - `sample`: the same and the scalars `top_k`, `min_new_tokens` int32, `min_p`, `typical_p`,
      `eta_cutoff`, `repetition_penalty`, `presence_penalty`, `frequency_penalty` float32 to `text`
      and `log_prob` float32 `(batch,)`, the sum over the new tokens. `top_k` 0, `typical_p` and
      `repetition_penalty` 1, and 0 for the others change nothing.
    - `score`: `text` string `(batch,)` to `nats` float32 `(batch,)` and `tokens` int32
      `(batch,)`: those of `model.score(text)`.

    Those of `zoo.Seq2SeqLM`, whose `text` is the sources, and then the targets:

    - `translate`: `text` string `(batch,)` and the scalars `max_new_tokens` int32, `beam_width`
      int32, `length_penalty` float32 and `truncate` bool to `text` string `(batch,)`: the targets
      of `model.generate(text, max_new_tokens, Beam(beam_width, length_penalty),
      truncate=truncate)`. A `beam_width` of 1 is greedy. The target of an empty source is empty. Of
      a source that is too long `truncate` reads the start.
    - `generate`, `sample`: the inputs of `generate` and `sample` above to `text` string `(batch,)`,
      the targets of `model.generate(text, max_new_tokens, Sampler(temperature, top_p=top_p),
      seed, truncate=truncate)`, and `log_prob`.

    Those of the tasks over encoders:

    - `zoo.MaskedLM`: `fill`, of `text` and the scalar `top_k` int32, to `token` string and
      `probability` float32, both `(batch, masks, top_k)`.
    - `zoo.TextClassifier`: `classify`, of `text`, and `classify_pair`, of `text` and `second`, to
      `label` string `(batch,)`, `probabilities` float32 `(batch, labels)` and `labels`; with
      `problem="multi_label"` `is_label` bool `(batch, labels)` in the place of `label`, and for a
      regression `value` float32 `(batch, labels)` and `labels`.
    - `zoo.TokenClassifier`: `tag`, of `text`, to `label` string, `start`, `end` int32 (characters)
      and `score` float32 of its words, all `(batch, words)`, padded with `""`, -1 and 0. A text
      must fit into the context.
    - `zoo.QuestionAnswerer`: `answer`, of `question` and `context`, to `text` string, `start`,
      `end` int32 (characters, -1 for no answer) and `score` float32, all `(batch,)`. Both must
      fit into the context together.
    - `zoo.TextEmbedder`: `embed`, of `text`, to `embedding` float32 `(batch, hidden_dim)`.
    - `zoo.BertPretrainer`: `next_sentence`, of `text` and `second`, to `probability` float32
      `(batch,)` that the second follows.

    Text is UTF-8; bytes that are not read as U+FFFD. A number out of its range, or a text that
    does not fit into the context, is an `InvalidArgumentError` that says so. A task without
    tokenizer has `serving_default` alone.

    TensorFlow traces the graphs: under another backend the task goes through a preset folder to a
    second Python process, and the artefact is the same.

    Args:
        model: a task. Its tokenizer is a byte-level BPE, BERT's WordPiece or None; to write takes
            a BPE, to tag and to answer a WordPiece.
        path: the folder to write. A SavedModel that is there is replaced, in one step.
        format: `"saved_model"`.

    Raises:
        ImportError: if TensorFlow is not installed.
        TypeError: if `model` is not a task.
        ValueError: if the format is unknown or the tokenizer is of another kind.
        FileExistsError: if something other than a SavedModel is in the way.
        OSError: if the folder cannot be written; `PermissionError` where that is forbidden.
        RuntimeError: if the second process fails.
    """
    checks.check_format(format)
    checks.check_model(model)
    checks.check_tensorflow()
    folder = replaceable_path(path)
    checks.check_target(folder)
    if backend.WRITES_SAVED_MODELS:
        from zoo.exporting import saved_model

        replace_folder(folder, lambda partial: saved_model.write(model, partial, Told()))
    else:
        replace_folder(folder, lambda partial: _write_in_second_process(model, partial))


def _write_in_second_process(model, folder):
    environment = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",  # this process may hold the GPU's memory
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    with tempfile.TemporaryDirectory() as scratch:
        preset = Path(scratch) / "preset"
        save(model, preset)
        command = [sys.executable, "-m", "zoo.exporting.saved_model", preset, folder]
        status, said = _run(command, environment, Told())
    if status:
        lines = [line for line in said.splitlines() if line.strip()]
        reason = lines[-1] if lines else "it said nothing"
        if checks.DISK_FULL in reason:
            error = OSError(errno.ENOSPC, checks.DISK_FULL)
        else:
            error = RuntimeError(
                "The TensorFlow process that writes the SavedModel failed with exit status "
                f"{status}: {reason}"
            )
        error.add_note(said)
        raise error


def _run(command, environment, tell):
    """The exit status of a process, and what it said; `tell` hears how far it is."""
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        with subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            errors="replace",
        ) as process:
            for line in process.stdout:
                numbers = line.split()
                if len(numbers) == 2 and all(map(str.isdigit, numbers)):
                    tell(*map(int, numbers))
        said.seek(0)
        return process.returncode, said.read()


class Told:
    """Shows how many signatures are traced, where that takes long."""

    bar = None

    def __call__(self, done, total):
        self.bar = self.bar or Progress(total, unit="signature")
        self.bar.add(1)
