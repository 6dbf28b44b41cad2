"""Text classification: labels, or numbers, for each text or pair of texts."""

from typing import Any

import keras

from zoo.arguments import RATE, Boolean, Choice, Names
from zoo.data.checks import check_padding
from zoo.data.labels import checked_weights, class_weights, labelled
from zoo.data.rows import RowFormat, is_pair, pick, with_text
from zoo.data.texts import is_text
from zoo.layers.dense import Dense
from zoo.layers.encoder_parts import LastToken, MeanPooling, Pooler
from zoo.layers.initializers import Normal
from zoo.models.base import Backbone
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.tasks.base import as_special_tokens
from zoo.tasks.encoder_task import EncoderTask
from zoo.tasks.problems import PROBLEMS
from zoo.tokenizers import SpecialTokens, Tokenizer

POOLERS = {"first": "tanh", "first_relu": "relu", "last_tanh": "tanh"}  # and their activations
POOLINGS = ("first", "first_relu", "mean", "last", "last_tanh")


@keras.saving.register_keras_serializable("zoo")
class TextClassifier(EncoderTask):
    """A backbone and a linear layer on its pooled output: texts to labels, or to numbers.

    Devlin et al., 2019, section 4.1, https://arxiv.org/abs/1810.04805.

    ```python
    model = zoo.load("bert-small", task="text_classification", labels=["neg", "pos"])
    model.fit(["A joy.", "A bore."], ["pos", "neg"])
    model.predict_labels("A joy from start to end.")
    ```

    `fit` and `evaluate` take a list of strings or of pairs of strings, with a list of labels:

    - names or their numbers, one for each text;
    - with `problem="multi_label"` a list of names for each text, or 0 or 1 for each label;
    - with `problem="regression"` a number for each text, or one for each of several `labels`.

    Texts without a label are left out, and texts that are too long are cut, each with one warning.

    Args:
        backbone: an encoder such as `zoo.models.BERT`, a decoder such as `zoo.models.GPT`, an
            `LSTM`, or a `BART`, whose decoder reads the text again.
        tokenizer: a `zoo.tokenizers.Tokenizer`; None for a model that works on token ids only.
        labels: a list of names, in the order of the logits; for a regression the names of its
            numbers, one called `score` if left out.
        pooling: `"first"`, BERT's pooler on the first token, `"first_relu"`, DistilBERT's, `"mean"`
            over all tokens, or the `"last"` one, which has seen what a GPT has read, or
            `"last_tanh"`, BART's pooler on it; None for the backbone's usual one.
        head_dropout: float, on the pooled output, in training.
        head_bias: bool, whether the last layer adds a number for each label; None for the usual:
            not where it reads the `"last"` token, as the field has it.
        add_special_tokens: bool, whether rows start and end with special tokens; False for what
            the tokenizer's file puts before a text, and the text alone.
        problem: `"single_label"`, `"multi_label"` or `"regression"`.

    Call arguments:
        inputs: token ids, int `(batch, length)`, or a dict with `segment_ids` and `padding_mask`.

    Returns:
        Logits, or the numbers of a regression, `(batch, len(labels))`.

    Raises:
        ValueError: if `labels` are not at least two different names, or `pooling` is unknown or
            reads what has not seen the text.
    """

    task_name = "text_classification"
    arguments = EncoderTask.arguments | {
        "labels": Names(2**16, least=1),
        "pooling": Choice(*POOLINGS),
        "head_dropout": RATE,
        "head_bias": Boolean(),
        "add_special_tokens": Boolean(),
        "problem": Choice(*PROBLEMS),
    }
    heads = ("pooler", "classifier")

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer | None = None,
        labels: Any = (),
        pooling: str | None = None,
        head_dropout: float = 0.1,
        problem: str = "single_label",
        head_bias: bool | None = None,
        add_special_tokens: bool = True,
        **kwargs,
    ) -> None:
        labels = PROBLEMS[problem].labels(labels)
        pooling = backbone.default_pooling if pooling is None else pooling
        if pooling.startswith("first") and (backbone.reads_on or reads_again(backbone)):
            raise ValueError(
                f"pooling={pooling!r} needs an encoder whose first output has seen the whole "
                f"text; this {type(backbone).__name__} reads from left to right. Choose "
                "pooling='mean' or 'last'."
            )
        head_bias = pooling != "last" if head_bias is None else head_bias
        dtype = backbone.dtype_policy
        inputs = self.symbolic_inputs(backbone)
        if reads_again(backbone):
            start_id = start_of_target(tokenizer, kwargs.get("special_tokens"))
            hidden = backbone.read_again(**inputs, start_id=start_id)
        else:
            hidden = backbone(inputs)
        pooled = hidden
        if not pooling.startswith("first"):
            cls = MeanPooling if pooling == "mean" else LastToken
            pooling_layer = cls(dtype=dtype, name=f"{pooling}_pooling")
            pooled = pooling_layer(hidden, padding_mask=inputs["padding_mask"])
        if pooling in POOLERS:
            states = hidden if pooled is hidden else pooled[:, None]
            pooled = Pooler(POOLERS[pooling], dtype=dtype, name="pooler")(states)
        pooled = keras.layers.Dropout(head_dropout, dtype=dtype, name="head_dropout")(pooled)
        classifier = Dense(
            len(labels),
            use_bias=head_bias,
            kernel_initializer=Normal(0.02),
            dtype=dtype,
            name="classifier",
        )
        self.problem = problem  # what `compile`, which a task calls itself, looks at
        super().__init__(backbone, tokenizer, inputs=inputs, outputs=classifier(pooled), **kwargs)
        self.labels = tuple(labels)
        self.pooling = pooling
        self.head_dropout = head_dropout
        self.head_bias = head_bias
        self.add_special_tokens = add_special_tokens

    @property
    def row_format(self):
        tokenizer = self.require_tokenizer()
        return RowFormat(tokenizer, self.backbone, self.special_tokens, self.add_special_tokens)

    def check_inputs(self, x):
        super().check_inputs(x)
        if reads_again(self.backbone) and isinstance(x, dict):
            check_padding(x, self.backbone, ["padding_mask"])

    def usual_loss(self):
        return PROBLEMS[self.problem].loss()

    def usual_metrics(self):
        return PROBLEMS[self.problem].metrics()

    needs_labels = True

    def is_example(self, item):
        return is_text(item) or is_pair(item)

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        form, problem, labels = self.row_format, PROBLEMS[self.problem], None
        if y is not None:
            x, y, sample_weight = labelled(x, y, sample_weight)
            labels = problem.targets(y, self.labels)
        firsts, seconds = form.tokens(x)
        weights = None if sample_weight is None else checked_weights(sample_weight, len(x))
        if class_weight is not None:
            self.require_classes()
            by_class = class_weights(class_weight, self.labels, labels)[labels]
            weights = by_class if weights is None else by_class * weights
        if training:
            kept = with_text(firsts, seconds)
            firsts, seconds = (pick(rows, kept) for rows in (firsts, seconds))
            labels, weights = (pick(array, kept) for array in (labels, weights))
        examples = form.lay_out(firsts, seconds)
        examples.labels, examples.weights = labels, weights
        return examples

    def label_array(self, y, count):
        return PROBLEMS[self.problem].array(y, self.labels, count)

    def require_classes(self):
        """Raise ValueError where there is no class of each text to be weighed."""
        if self.problem != "single_label":
            raise ValueError(
                f"class_weight weighs the one class of each text; with problem={self.problem!r} "
                "pass sample_weight, a number for each text."
            )

    def predict_labels(self, texts: Any, batch_size: int | None = None) -> dict | list[dict]:
        """The likeliest label of each text, with the probabilities of all.

        Args:
            texts: a string, a list of strings or a list of pairs of strings.
            batch_size: int.

        Returns:
            `{"label": str, "probabilities": {label: float}}`; a list of such for a list. With
            `problem="multi_label"`, `{"labels": [str, ...], "probabilities": {...}}` with those
            labels that are likelier than not; for a regression its numbers, `{name: float}`.
        """
        logits = self.predict(texts, batch_size, verbose=0).astype("float64")
        results = PROBLEMS[self.problem].results(logits, self.labels)
        return results[0] if isinstance(texts, str) else results

    def get_config(self) -> dict:
        config = {name: getattr(self, name) for name in self.arguments}
        return {**super().get_config(), **config, "labels": list(self.labels)}


def reads_again(backbone):
    """Whether a backbone has a decoder, which reads what the encoder has read."""
    return isinstance(backbone, EncoderDecoder)


def start_of_target(tokenizer, special_tokens):
    """The id before what a decoder reads: 0 where nobody says, as in generation."""
    special_tokens = as_special_tokens(special_tokens) or SpecialTokens.of(tokenizer)
    return special_tokens.before_target or 0
