"""Several devices and processes that train one model."""

from zoo.backends import backend


def distribute(**layout):
    """Train one model on all devices and processes that the environment tells of.

    ```python
    zoo.training.distribute()        # before the model is made
    model = zoo.load("gpt-small", weights=False)
    model.fit(data)
    ```

    Every batch is that of all devices together: each reads its share of the rows, the loss is the
    mean over the real tokens of all, and so is what `fit` logs. Rows that do not divide are filled
    up with rows that weigh nothing. The first process alone prints and writes.

    - PyTorch: the processes that `torchrun` or SLURM has started, each with the whole model.
    - JAX: all devices of this process, or of all that `JAX_COORDINATOR_ADDRESS` or SLURM tells of.
    - TensorFlow: all GPUs of this machine, or its virtual CPUs.

    Args:
        **layout: on JAX `layout="tensor"` with `model_parallel=n`, or `layout="sharded"`.

    Returns:
        What is known of the world: `rank`, `size`, `shards`.

    Raises:
        ValueError: a layout that the backend or its devices do not have.
    """
    return backend.distribute(**layout)
