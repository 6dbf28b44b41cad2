"""One process of a run on several devices; the first writes losses and weights.

KERAS_BACKEND=torch torchrun --nproc-per-node 2 -m benchmarks.distribution.worker data out
"""

import json
import sys


def main(strategy, path, steps=20):
    if strategy == "mirrored":
        import tensorflow as tf

        (cpu, *_) = tf.config.list_physical_devices("CPU")
        two = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
        tf.config.set_logical_device_configuration(cpu, two)
    import keras
    import numpy as np
    from zoo.training import distribute

    import zoo
    from zoo.backends import backend

    layouts = {
        "tensor": {"layout": "tensor", "model_parallel": 2},
        "sharded": {"layout": "sharded"},
    }
    world = distribute(**layouts.get(strategy, {})) if strategy != "one" else None
    keras.utils.set_random_seed(0)
    backbone = zoo.models.GPT(
        64, num_layers=2, num_heads=2, hidden_dim=16, max_length=16, dropout=0.0
    )
    model = zoo.CausalLM(backbone)
    optimizer = keras.optimizers.AdamW(0.01, global_clipnorm=0.5)
    model.compile(optimizer=optimizer)
    rng = np.random.default_rng(0)
    for weight in sorted(model.weights, key=lambda w: w.path):
        weight.assign(0.2 * rng.normal(size=weight.shape))
    ids = rng.integers(0, 64, (39, 13)).astype("int32")  # the last batch does not divide
    lengths = rng.integers(2, 13, 39)  # ragged
    inputs = {"token_ids": ids[:, :-1], "padding_mask": np.arange(12) < lengths[:, None]}
    weights = inputs["padding_mask"].astype("float32")
    losses = []

    def note(_, logs):
        losses.append({name: float(value) for name, value in logs.items()})

    log = keras.callbacks.LambdaCallback(on_train_batch_end=note, on_epoch_end=note)
    fit = {"batch_size": 8, "shuffle": False, "verbose": 0, "callbacks": [log]}
    held_out = ({k: v[:7] for k, v in inputs.items()}, ids[:7, 1:], weights[:7])
    model.fit(
        inputs,
        ids[:, 1:],
        sample_weight=weights,
        epochs=steps // 5,
        validation_data=held_out,
        **fit,
    )
    arrays = {w.path: backend.whole(w) for w in model.weights}
    rank = 0 if world is None else world.rank
    np.savez(f"{path}.{rank}.npz", **arrays)
    if rank == 0:
        with open(f"{path}.json", "w", encoding="utf-8") as file:
            json.dump(losses, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
