"""A student and its teacher as one Keras model, trained by `fit` on what the student reads."""

import keras
from keras import ops
from zoo.training.distillation.alignment import AlignedBatches, Aligner
from zoo.training.distillation.checks import check_tasks, checked_losses, have_same_tokens
from zoo.training.distillation.losses import OwnLoss
from zoo.training.distillation.seen import Seen
from zoo.training.distillation.weighing import output_weights, token_weights

from zoo.backends import backend
from zoo.backends.data import first_batch
from zoo.data.batches import Batches
from zoo.layers import watch
from zoo.models.base import as_inputs
from zoo.tasks.encoder_task import EncoderTask
from zoo.tasks.runs import Runs


def of_student(name):
    """A property that is the student's."""
    return property(lambda self: getattr(self.student, name))


class Distiller(Runs, backend.Trainer, keras.Model):
    """A student that learns from a teacher.

    `fit` and `evaluate` take what the student's own take: text, labels, datasets. Rows, special
    tokens and batches are the student's. The teacher reads the same token ids, or, with another
    tokenizer, the text that they spell. Each loss is reported by its name, beside the metrics of
    the student; `loss` is their weighted sum. Where `OwnLoss` is not among them no labels are
    needed.

    The student is trained in place: `zoo.save(student, folder)` when it is done. The teacher is
    left as it is, and is no part of what is saved; on JAX no other thread may use it meanwhile.

    `keras.distillation.Distiller` does not serve here: it compares padding with padding, leaves
    sample weights out, runs the student twice where a layer is compared, and takes arrays alone.

    Args:
        student: a task such as `zoo.TextClassifier`. Its `compile` says what its own loss is.
        teacher: a task.
        losses: a list of `DistillationLoss`, such as `hinton()` gives.

    Raises:
        ValueError: the two do not fit each other, or no losses.
        TypeError: something that is not a task, or not a loss.
    """

    def __init__(self, student, teacher, losses, name="distiller"):
        super().__init__(name=name)
        check_tasks(student, teacher)
        self.student = student
        self.dtype_policy = student.dtype_policy  # by which Keras scales losses
        self.distillation_losses = checked_losses(losses)
        self._hidden = Hidden(teacher)
        is_same = have_same_tokens(student, teacher)
        for one in self.distillation_losses:
            one.prepare(student, teacher)
            one.built = True
            if one.needs_same_tokens and not is_same:
                raise ValueError(
                    f"{one.name} compares token with token, so student and teacher need the same "
                    "tokenizer. With another, compare HiddenStates, HiddenCosine, FirstStates or "
                    "SentenceVectors."
                )
        self._align = None if is_same else Aligner(student, teacher)
        self.learns_labels = any(isinstance(one, OwnLoss) for one in self.distillation_losses)
        self._needs_outputs = any(one.needs_outputs for one in self.distillation_losses)
        self._means = {
            one.name: keras.metrics.Mean(name=one.name, dtype="float32")
            for one in self.distillation_losses
        }
        self.built = True
        self.compile()

    # What the student says of data.

    backbone = of_student("backbone")
    tokenizer = of_student("tokenizer")
    labels = of_student("labels")
    nouns = of_student("nouns")
    is_example = of_student("is_example")
    read_memory = of_student("read_memory")
    check_inputs = of_student("check_inputs")
    require_tokenizer = of_student("require_tokenizer")
    own_callbacks = of_student("own_callbacks")
    kinds = of_student("kinds")
    label_array = of_student("label_array")
    require_classes = of_student("require_classes")
    check_trainable = of_student("check_trainable")
    needs_labels = property(lambda self: self.learns_labels and self.student.needs_labels)
    ids_need_labels = property(lambda self: self.learns_labels and self.student.ids_need_labels)

    def examples(self, x, y=None, sample_weight=None, class_weight=None, training=False):
        """The student's; without labels, the rows that it would predict on."""
        if self.learns_labels or y is not None or not isinstance(self.student, EncoderTask):
            return self.student.examples(x, y, sample_weight, class_weight, training)
        if sample_weight is not None or class_weight is not None:
            raise ValueError("Weights go with labels: pass y, or leave the weights out.")
        return self.student.rows(x)

    def make_batches(self, examples, *arguments, **options):
        return self._aligned(self.student.make_batches(examples, *arguments, **options))

    def stream_batches(self, parts, batch_size, training):
        batches = self.student.stream_batches(parts, batch_size, training)
        if batches is None or self._align is None:
            return batches
        return (self._align(*batch) for batch in batches)

    def feed(self, x, *data, **how):
        return super().feed(self._aligned(x) if isinstance(x, Batches) else x, *data, **how)

    def prepare(self, x, y=None, sample_weight=None, training=True):
        self._require_text()
        if y is None and not self.ids_need_labels:
            self.check_inputs(x)
            return x, y, sample_weight
        return self.student.prepare(x, y, sample_weight, training)

    def check_batch(self, batch, needs_labels=False):
        if needs_labels:  # of a dataset of token ids
            self._require_text()
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        if not (isinstance(x, dict) and "student" in x):
            super().check_batch(batch, needs_labels)

    def _require_text(self):
        if self._align is not None:
            raise ValueError(
                "Student and teacher have different tokenizers, so the teacher reads text: pass "
                "texts, not token ids."
            )

    def _aligned(self, batches):
        is_done = self._align is None or getattr(batches, "is_aligned", False)
        return batches if is_done else AlignedBatches(batches, self._align)

    # A step.

    def compile(self, optimizer="auto", **arguments):
        """As `keras.Model.compile`; "auto" is the student's usual optimizer.

        Raises:
            ValueError: a loss or metrics, which the student is compiled with.
        """
        for name in ("loss", "metrics", "weighted_metrics"):
            if arguments.get(name) is not None:
                raise ValueError(
                    f"A distiller's losses were given when it was made; compile takes no {name}. "
                    "student.compile says what OwnLoss and the student's metrics are."
                )
        if isinstance(optimizer, str) and optimizer == "auto":
            optimizer = self.student.usual_optimizer()
        super().compile(optimizer=optimizer, **arguments)

    def outputs_and_loss(self, x, y, sample_weight, training):
        inputs, taught_inputs, units = self._both_inputs(x)
        with watch() as watched:
            outputs, own = self._student_step(inputs, y, sample_weight, training)
        with backend.no_gradients(), watch() as shown:
            taught = self._taught(taught_inputs)
        weights = output_weights(self.student, outputs, y, sample_weight, inputs)
        mask = token_weights(self.student, inputs, sample_weight)
        student = Seen(self.backbone, watched, mask, outputs, weights)
        mask = mask if units is None else ops.cast(taught_inputs["padding_mask"], "float32")
        backbone = self._hidden.teacher.backbone
        teacher = Seen(backbone, shown, mask, taught, is_taught=True)
        if units is not None:
            student.pool(units)
            teacher.pool(taught_inputs["units"])
        count = self.num_averaged(x, y, sample_weight)
        total = 0.0
        for one in self.distillation_losses:
            value = own if isinstance(one, OwnLoss) else one.value(student, teacher)
            self._means[one.name].update_state(value, sample_weight=count)
            total = total + one.weight * value
        return total if outputs is None else outputs, total

    def _both_inputs(self, x):
        """Inputs of the student and of the teacher, and the pieces of text where they differ."""
        if isinstance(x, dict) and "student" in x:
            return as_inputs(x["student"]), x["teacher"], x["units"]
        inputs = as_inputs(x)
        return inputs, inputs | self._segments(inputs), None

    def _segments(self, inputs):
        """Which text of a pair a token is of, where the teacher is told and the student is not."""
        has_segments = "segment_ids" in self._hidden.teacher.backbone.optional_inputs
        separator = self.student.special_tokens.between
        is_told = not has_segments or inputs.get("segment_ids") is not None
        if is_told or separator is None or not isinstance(self.student, EncoderTask):
            return {}
        is_separator = ops.cast(ops.cast(inputs["token_ids"], "int32") == separator, "int32")
        after = ops.cumsum(is_separator, axis=1) - is_separator
        return {"segment_ids": ops.cast(after > 0, "int32")}

    def _student_step(self, inputs, y, sample_weight, training):
        """Outputs and loss of the student; None for what nothing asks for."""
        student = self.student
        if self.learns_labels and self._needs_outputs:  # logits, not what spares them
            return backend.Trainer.outputs_and_loss(student, inputs, y, sample_weight, training)
        if self.learns_labels:
            return student.outputs_and_loss(inputs, y, sample_weight, training)
        if self._needs_outputs:
            return student.outputs_of_step(inputs, training), None
        self._run(student.backbone, inputs, training)
        return None, None

    def _taught(self, inputs):
        """The teacher's outputs, or None where only what is within it is asked for."""
        teacher = self._hidden.teacher
        outputs = self._run(teacher if self._needs_outputs else teacher.backbone, inputs, False)
        if not self._needs_outputs:
            return None
        return keras.tree.map_structure(ops.stop_gradient, outputs)

    def _run(self, model, inputs, training):
        taken = {name: inputs[name] for name in model.input if inputs.get(name) is not None}
        return model(taken, training=training)

    def num_averaged(self, x, y, sample_weight):
        if y is None:
            return super().num_averaged(x, y, sample_weight)
        return self.student.num_averaged(self._both_inputs(x)[0], y, sample_weight)

    @property
    def metrics(self):
        """Means of the losses, and the student's own metrics."""
        if not getattr(self, "learns_labels", False):
            return super().metrics
        own = self.student.metrics
        return [*super().metrics, *(one for one in own if one is not self.student._loss_tracker)]

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if self.learns_labels:
            self.student.compute_metrics(self._both_inputs(x)[0], y, y_pred, sample_weight)
        return self.get_metrics_result()

    def _symbolic_build(self, iterator=None, data_batch=None):
        if self.learns_labels:  # the student's metrics learn shapes as in its own `fit`
            data_batch = first_batch(iterator) if data_batch is None else data_batch
            x, y, weights = keras.utils.unpack_x_y_sample_weight(data_batch)
            x = x["student"] if isinstance(x, dict) and "student" in x else x
            self.student.build_compiled(x, y, weights)
        super()._symbolic_build(iterator, data_batch)

    @property
    def trainable_variables(self):
        """What some loss depends on: no optimizer may let the rest decay."""
        own = {id(v) for v in self.student.trainable_variables if not self._trains(v.path)}
        return [v for v in super().trainable_variables if id(v) not in own]

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self):
        """The rest; the teacher's weights, too, are arguments of a step."""
        trained = {id(v) for v in self.trainable_variables}
        own = [v for v in self.variables if id(v) not in trained]
        return [*own, *self._hidden.teacher.variables]

    def _trains(self, path):
        return any(one.trains(path) for one in self.distillation_losses)

    # What the student does by itself.

    def call(self, inputs, training=None):
        return self.student(inputs, training=training)

    def predict(self, x, **arguments):
        """What the student predicts."""
        return self.student.predict(x, **arguments)

    def get_config(self):
        raise NotImplementedError(
            "A distiller is not saved: zoo.save(student, folder) saves what has learned."
        )


class Hidden:
    """Keeps a teacher out of Keras' sight: it is neither trained nor saved with its student."""

    def __init__(self, teacher):
        self.teacher = teacher
