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

    - PyTorch: the processes that `torchrun` or SLURM has started, each with the whole model; with
      `layout="sharded"` each with a part of weights, gradients and optimizer (FSDP2).
    - JAX: all devices of this process, or of all processes that SLURM tells of, or
      `JAX_COORDINATOR_ADDRESS` with `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID`. With
      `layout="sharded"` each device has a part of the weights, with `layout="tensor"` and
      `model_parallel=n` groups of n devices share each product.
    - TensorFlow: all GPUs of this machine, or its virtual CPUs; or the workers of `TF_CONFIG`, each
      with one device.

    What one process alone would read of weights in parts, all must ask for together.

    Args:
        **layout: `layout` and `model_parallel`, as above.

    Returns:
        What is known of the world: `rank`, `size`, `shards`.

    Raises:
        ValueError: a layout that the backend or its devices do not have.
    """
    return backend.distribute(**layout)
