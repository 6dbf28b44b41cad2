"""Extractive question answering: the span of a text that answers a question."""

import warnings
from typing import Any

import keras
import numpy as np
from keras import ops

from zoo.arguments import LENGTH, Number
from zoo.checks import require_whole
from zoo.data.answers import best_spans
from zoo.data.encoding import encoded
from zoo.data.formats import QAExample, read_squad
from zoo.data.labels import checked_weights
from zoo.data.sources import holds_ids, is_table, table_columns
from zoo.data.texts import user_level
from zoo.files import is_path
from zoo.layers import is_likeliest, token_nats
from zoo.layers.dense import Dense
from zoo.layers.initializers import Normal
from zoo.models.base import Backbone
from zoo.tasks.encoder_task import EncoderTask
from zoo.tokenizers import Tokenizer

QUESTION_LENGTH = 64  # tokens; the original's limit


@keras.saving.register_keras_serializable("zoo")
class SpanLogits(keras.layers.Layer):
    """A linear layer to two numbers for each position: may a span start, may it end there.

    Call arguments:
        hidden: `(batch, length, hidden_dim)`.
        padding_mask: `(batch, length)`; padding gets numbers that no softmax sees.

    Returns:
        float32 `(batch, length, 2)`.
    """

    def build(self, hidden_shape, padding_mask_shape=None):
        self.dense = Dense(
            2, kernel_initializer=Normal(0.02), dtype=self.dtype_policy, name="dense"
        )
        self.dense.build(hidden_shape)

    def call(self, hidden, padding_mask=None):
        logits = ops.cast(self.dense(hidden), "float32")
        if padding_mask is None:
            return logits
        return ops.where(ops.cast(padding_mask, "bool")[:, :, None], logits, -1e9)

    def compute_output_spec(self, hidden, padding_mask=None):
        return keras.KerasTensor((*hidden.shape[:2], 2), dtype="float32")


@keras.saving.register_keras_serializable("zoo")
class QuestionAnswerer(EncoderTask):
    """An encoder that reads a question with a text and points to the answer's first and last token.

    Devlin et al., 2019, sections 4.2 and 4.3, https://arxiv.org/abs/1810.04805. A text that does
    not fit is read in overlapping windows; a window without the answer points to `[CLS]`.

    ```python
    model = zoo.load("bert-small", task="question_answering")
    model.fit("train-v2.0.json", epochs=2)
    model.answer("Who sings?", "Ann sings and Bob listens.")
    ```

    `fit` and `evaluate` take the path or the contents of a SQuAD file, version 1 or 2, or a list
    of `zoo.data.formats.QAExample` or of dicts with their fields.

    Args:
        backbone: an encoder such as `zoo.models.BERT`.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a model that works on token ids only.
        window_stride: int, tokens from the start of one window to that of the next; None for half
            of what fits beside the question.
        max_answer_length: int, the longest answer in tokens.
        no_answer_threshold: float; by how much an answer's score must exceed that of no answer.

    Call arguments:
        inputs: a dict of `token_ids`, int `(batch, length)`, `segment_ids` and `padding_mask`.

    Returns:
        Logits `(batch, length, 2)` of starts and ends.
    """

    task_name = "question_answering"
    arguments = EncoderTask.arguments | {
        "window_stride": LENGTH,
        "max_answer_length": LENGTH,
        "no_answer_threshold": Number(-1e6, 1e6),
    }
    heads = ("span",)

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer | None = None,
        window_stride: int | None = None,
        max_answer_length: int = 30,
        no_answer_threshold: float = 0.0,
        **kwargs,
    ) -> None:
        inputs = self.symbolic_inputs(backbone)
        span = SpanLogits(dtype=backbone.dtype_policy, name="span")
        outputs = span(backbone(inputs), padding_mask=inputs["padding_mask"])
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=outputs, **kwargs)
        self.window_stride = window_stride
        self.max_answer_length = max_answer_length
        self.no_answer_threshold = no_answer_threshold
        self.accuracy = keras.metrics.Mean(name="accuracy", dtype="float32")

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The mean of both cross-entropies; `accuracy` counts windows with both ends right."""
        logits = ops.transpose(y_pred, (0, 2, 1))  # (batch, 2, length)
        labels = ops.cast(y, "int32")
        hits = ops.prod(is_likeliest(labels, logits), axis=-1)
        self.accuracy.update_state(hits, sample_weight=sample_weight)
        nats = ops.mean(token_nats(labels, logits), axis=-1)
        if sample_weight is None:
            return ops.mean(nats)
        weight = ops.cast(sample_weight, "float32")
        return ops.divide_no_nan(ops.sum(weight * nats), ops.sum(weight))

    def is_example(self, item):
        return isinstance(item, QAExample) or (isinstance(item, dict) and "question" in item)

    def read_memory(self, x):
        is_file = isinstance(x, str) or is_path(x)
        if is_file or (isinstance(x, dict) and "data" in x):
            return read_squad(x), None, None
        if is_table(x) and not self.is_example(x) and not holds_ids(x):
            columns = table_columns(x)
            x = [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
        return super().read_memory(x)

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        if y is not None:
            raise ValueError(
                "Questions come with their answers: pass a SQuAD file or QAExamples alone, without "
                "y."
            )
        questions = read_squad(x)
        examples, contexts, spans, places = self._windows(questions)
        if sample_weight is not None:
            weights = checked_weights(sample_weight, len(questions), "question")
            examples.weights = np.repeat(weights, [len(windows) for windows in spans])
        examples.labels = np.zeros((len(examples), 2), "int32")
        row = 0
        for question, (_, offsets), windows in zip(questions, contexts, spans, strict=True):
            answer = answer_tokens(question, offsets)
            for start, end in windows:
                if answer and start <= answer[0] and answer[1] < end:
                    examples.labels[row] = places[row] + np.array(answer) - start
                row += 1
        return examples

    def _windows(self, questions):
        """Rows of all windows of all contexts, the contexts' tokens, and which is where."""
        tokenizer = self.require_tokenizer()
        for question in questions:
            for what in ("question", "context"):
                if not getattr(question, what).strip():
                    raise ValueError(f"Question {question.id!r}: its {what} must not be empty.")
        asked = encoded(tokenizer, [q.question for q in questions])
        num_cut = sum(len(ids) > QUESTION_LENGTH for ids in asked)
        if num_cut:
            warnings.warn(
                f"{num_cut} of {len(asked)} questions were longer than {QUESTION_LENGTH} tokens "
                "and were cut.",
                stacklevel=user_level(),
            )
        asked = [ids[:QUESTION_LENGTH] for ids in asked]
        texts = [q.context for q in questions]
        contexts = encoded(tokenizer, texts, tokenizer.encode_with_offsets)
        form = self.row_format
        if max(map(len, asked)) >= form.room(True):
            raise ValueError(
                f"A question must leave room for its text in the model's {form.max_length} tokens; "
                f"one has {max(map(len, asked))}. Shorten it."
            )
        rows = [ids for ids, _ in contexts]
        examples, spans, places = form.windows(rows, self.window_stride, asked)
        return examples, contexts, spans, places

    def answer(self, question: str, context: str, top_k: int = 1) -> dict | list[dict]:
        """Find the answer in a text.

        Args:
            question, context: strings.
            top_k: int, how many answers to return.

        Returns:
            `{"text", "start", "end", "score"}`, or a list of `top_k` such, the best first.
            `context[start:end]` is the text. The score is by how much the answer's logits exceed
            those of no answer; no answer is the text `""` with start and end None and score 0,
            and stands before every answer that does not exceed it by `no_answer_threshold`.
        """
        asked = QAExample(id="question", question=question, context=context, answers=())
        answers = self._answers([asked], top_k)[0]
        return answers[0] if top_k == 1 else answers

    def predict_answers(self, questions: Any, batch_size: int | None = None) -> dict[str, str]:
        """The best answer to each question of a SQuAD file or list, `{id: text}`."""
        require_whole("batch_size", batch_size)
        questions = read_squad(questions)
        answers = self._answers(questions, 1, batch_size) if questions else []
        return {q.id: best[0]["text"] for q, best in zip(questions, answers, strict=True)}

    def _answers(self, questions, top_k, batch_size=None):
        require_whole("top_k", top_k, optional=False)
        examples, contexts, spans, places = self._windows(questions)
        rows = iter(zip(self.predict_rows(examples, batch_size), places, strict=True))
        results = []
        for question, (_, offsets), windows in zip(questions, contexts, spans, strict=True):
            found = {}  # (first, last token of the context): score
            for start, end in windows:
                logits, place = next(rows)
                nothing = float(logits[0].sum())  # at [CLS]
                part = logits[place : place + end - start]
                allowed = np.ones(len(part), "bool")
                length = self.max_answer_length
                best = best_spans(part[:, 0], part[:, 1], allowed, length, top_k)
                for score, first, last in best:
                    tokens = (start + first, start + last)
                    found[tokens] = max(score - nothing, found.get(tokens, -np.inf))
            results.append(self._ranked(question.context, offsets, found, top_k))
        return results

    def _ranked(self, context, offsets, found, top_k):
        answers = [{"text": "", "start": None, "end": None, "score": 0.0}]
        for (first, last), score in found.items():
            start, end = offsets[first][0], offsets[last][1]
            covered = context[start:end]
            start += len(covered) - len(covered.lstrip())  # a byte-level token's space
            answers.append({"text": context[start:end], "start": start, "end": end, "score": score})

        def rank(answer):
            handicap = 0.0 if answer["start"] is None else self.no_answer_threshold
            return handicap - answer["score"]

        return sorted(answers, key=rank)[:top_k]

    def get_config(self) -> dict:
        names = ("window_stride", "max_answer_length", "no_answer_threshold")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def answer_tokens(question, offsets):
    """The first and the last token of a question's first answer; None where it has none."""
    if not question.answers:
        return None
    text, start = question.answers[0]
    end = start + len(text)
    inside = [i for i, (a, b) in enumerate(offsets) if a < end and b > start]
    return (inside[0], inside[-1]) if inside else None
