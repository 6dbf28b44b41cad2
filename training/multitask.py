"""Several tasks over one backbone, trained together in one `fit`.

    backbone = zoo.load("bert-small").backbone
    topics = zoo.TextClassifier(backbone, tokenizer, labels=["news", "sport"])
    names = zoo.TokenClassifier(backbone, tokenizer, labels=["O", "NAME"])
    both = MultiTask({"topics": topics, "names": names})
    both.fit({"topics": (texts, labels), "names": (sentences, tags)}, epochs=3)
    topics.predict_labels("...")

What one task teaches the backbone is there for the others (Caruana, 1997; with BERT: Liu et al.,
2019, https://arxiv.org/abs/1901.11504).
"""

import keras
from zoo.training.mixed_batches import MixedBatches, shares_of

from zoo import optimizers
from zoo.backends import backend
from zoo.backends.data import first_batch
from zoo.tasks.base import Task
from zoo.tasks.epochs import Epochs, Planned, with_epochs


class MultiTask(backend.Trainer, keras.Model):
    """Tasks with one backbone, each with a head, a loss and metrics of its own.

    Each step has rows of every task: so many of `batch_size` as the task's share says, at least
    one. The share of a task with n examples is `n^(1 / temperature)`, over the sum of these: at 1
    every example counts the same; the higher, the more equal the tasks (Devlin, 2019; Arivazhagan
    et al., 2019, section 4.2, https://arxiv.org/abs/1907.05019). The loss of a step is the sum of
    the tasks' losses by their shares. A task whose rows are spent begins with them anew, in another
    order. Logs name what is measured by its task: `topics_accuracy`.

    Args:
        tasks: `{name: task}`, at least two, made with the same backbone.
        temperature: float, at least 1.

    Raises:
        TypeError: something that is not a task.
        ValueError: fewer than two, several backbones, or a temperature below 1.
    """

    def __init__(self, tasks, temperature=1.0, name="multi_task"):
        super().__init__(name=name)
        check_tasks(tasks)
        if not temperature >= 1:
            raise ValueError(f"temperature must be at least 1; got {temperature!r}.")
        self.tasks = dict(tasks)
        self.temperature = temperature
        self.backbone = next(iter(tasks.values())).backbone
        self.dtype_policy = self.backbone.dtype_policy  # by which Keras scales losses
        self._means = {
            one: keras.metrics.Mean(name=f"{one}_loss", dtype="float32") for one in tasks
        }
        self.built = True
        self.compile()

    def compile(self, optimizer="auto", **arguments):
        """As `keras.Model.compile`; losses and metrics are those of the tasks."""
        for name in ("loss", "metrics", "weighted_metrics"):
            if arguments.get(name) is not None:
                raise ValueError(f"Compile each task with its own {name}; MultiTask takes none.")
        if isinstance(optimizer, str) and optimizer == "auto":
            optimizer = optimizers.for_fine_tuning(self.backbone.hidden_dim)
        super().compile(optimizer=optimizer, **arguments)

    def fit(
        self,
        data,
        batch_size=32,
        epochs=1,
        steps_per_epoch=None,
        validation_data=None,
        callbacks=None,
        initial_epoch=0,
        seed=None,
        verbose="auto",
    ):
        """Train all tasks together.

        Args:
            data: `{name: (x, y) or (x, y, sample_weight) or x}`, what each task's own `fit` takes,
                in memory.
            batch_size: int, rows of all tasks together.
            steps_per_epoch: int; None for as many as all examples make together.
            validation_data: the same for `evaluate`, after each epoch.
            seed: int, for the tasks' orders.
            epochs, callbacks, initial_epoch, verbose: those of `keras.Model.fit`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: data for other tasks than there are, or a batch with less room than tasks.
        """
        for task in self.tasks.values():
            task.check_trainable()
        batches = self.batches(data, batch_size, seed)
        reading = Planned(batches, initial_epoch, steps_per_epoch)
        held_out = [] if validation_data is None else [HeldOut(validation_data)]
        callbacks = [*held_out, *keras.tree.flatten(callbacks or [])]
        return super().fit(
            x=reading.for_keras(),
            shuffle=False,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            initial_epoch=initial_epoch,
            callbacks=with_epochs(callbacks, Epochs(reading), self),
            verbose=verbose,
        )

    def evaluate(self, data, batch_size=None):
        """`{"topics_loss": ..., "topics_accuracy": ...}`: what each task's `evaluate` gives."""
        self._check_names(data)
        logs = {}
        for name, given in data.items():
            parts = given if isinstance(given, tuple) else (given,)
            x, y, weight = (*parts, None, None)[:3]
            own = self.tasks[name].evaluate(
                x, y, batch_size, verbose=0, sample_weight=weight, return_dict=True
            )
            logs |= {f"{name}_{metric}": value for metric, value in own.items()}
        return logs

    def batches(self, data, batch_size=32, seed=None):
        """`MixedBatches` of what `fit` takes."""
        self._check_names(data)
        examples = {}
        for name, task in self.tasks.items():
            parts = data[name] if isinstance(data[name], tuple) else (data[name],)
            x, y, weight = (*parts, None, None)[:3]
            examples[name] = task.read_examples(x, y, weight, training=True)
            if examples[name] is None:
                raise ValueError(f"{name} must have its examples in memory, such as lists of text.")
        rows = shares_of({name: len(one) for name, one in examples.items()}, self.temperature)
        return MixedBatches(self.tasks, examples, rows, batch_size, seed)

    def _check_names(self, data):
        if not isinstance(data, dict) or data.keys() != self.tasks.keys():
            got = sorted(data) if isinstance(data, dict) else type(data).__name__
            raise ValueError(
                f"data must be a dict with something for each of {', '.join(self.tasks)}; "
                f"got {got}."
            )

    def outputs_and_loss(self, x, y, sample_weight, training):
        outputs, total = {}, 0.0
        shares = x["shares"]
        for place, (name, task) in enumerate(self.tasks.items()):
            labels, weight = y[name], (sample_weight or {}).get(name)
            outputs[name], loss = task.outputs_and_loss(x[name], labels, weight, training)
            self._means[name].update_state(loss, task.num_averaged(x[name], labels, weight))
            total = total + shares[place] * loss
        return outputs, total

    def num_averaged(self, x, y, sample_weight):
        return 1

    def own_callbacks(self, given):
        return next(iter(self.tasks.values())).own_callbacks(given)

    @property
    def metrics(self):
        """The mean losses, and all metrics of all tasks."""
        return [*super().metrics, *(one for _, one in self._task_metrics())]

    def _task_metrics(self):
        for name, task in getattr(self, "tasks", {}).items():
            for metric in task.metrics:
                if metric is not task._loss_tracker:
                    yield name, metric

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        for name, task in self.tasks.items():
            weight = (sample_weight or {}).get(name)
            task.compute_metrics(x[name], y[name], y_pred[name], weight)
        return self.get_metrics_result()

    def get_metrics_result(self):
        results = {metric.name: metric.result() for metric in super().metrics}
        for name, metric in self._task_metrics():
            found = metric.result()
            found = found if isinstance(found, dict) else {metric.name: found}
            results |= {f"{name}_{one}": value for one, value in found.items()}
        return results

    def _symbolic_build(self, iterator=None, data_batch=None):
        data_batch = first_batch(iterator) if data_batch is None else data_batch
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data_batch)
        for name, task in self.tasks.items():
            task.build_compiled(x[name], y[name], (weights or {}).get(name))
        super()._symbolic_build(iterator, data_batch)

    def call(self, inputs, training=None):
        """`{name: outputs}` of `{name: inputs}`."""
        return {name: self.tasks[name](one, training=training) for name, one in inputs.items()}

    def get_config(self):
        raise NotImplementedError("Save each task by itself: zoo.save(task, folder).")


class HeldOut(keras.callbacks.Callback):
    """Evaluates all tasks after each epoch, as `val_...`."""

    def __init__(self, data):
        super().__init__()
        self.data = data

    def on_epoch_end(self, epoch, logs=None):
        found = self.model.evaluate(self.data)
        logs.update({f"val_{name}": value for name, value in found.items()})


def check_tasks(tasks):
    if not isinstance(tasks, dict) or len(tasks) < 2:
        raise ValueError("tasks must be a dict of at least two tasks, such as {'topics': task}.")
    for name, task in tasks.items():
        if not isinstance(task, Task):
            raise TypeError(f"{name} must be a task of zoo; got {type(task).__name__}.")
    if len({id(task.backbone) for task in tasks.values()}) > 1:
        raise ValueError(
            "The tasks must share one backbone: make each of them with the same object."
        )
