"""Adam and AdamW on PyTorch's CPU: clipping, weight decay and update in one pass over memory.

Keras takes a pass for each operation, which makes the optimizer a quarter of a small model's
training step. PyTorch has the whole update as one kernel; the results differ in rounding alone.
"""

import types

import keras
import torch
from keras.src.backend.torch.optimizers.torch_adam import Adam
from keras.src.backend.torch.optimizers.torch_adamw import AdamW

from zoo.backends.torch.sharding import whole_norms


def speed_up_optimizer(optimizer):
    """Let an optimizer's updates of weights in float32 on the CPU run through the fused kernel.

    Options that the kernel lacks keep Keras' own update. For optimizers other than Adam and AdamW,
    nothing changes.
    """
    has_rates = isinstance(optimizer, keras.optimizers.AdamW) and hasattr(optimizer, "factors")
    if type(optimizer) in (Adam, AdamW) or has_rates:
        optimizer._backend_apply_gradients = types.MethodType(_update, optimizer)


def _update(optimizer, gradients, variables):
    if _fits(optimizer, gradients, variables):
        _fused_update(optimizer, gradients, variables)
    else:
        type(optimizer)._backend_apply_gradients(optimizer, gradients, variables)


def _fits(optimizer, gradients, variables):
    has_more_options = (
        optimizer.gradient_accumulation_steps
        or optimizer.use_ema
        or optimizer.clipnorm
        or optimizer.clipvalue
        or optimizer.amsgrad
    )
    return not has_more_options and all(
        tensor.device.type == "cpu" and tensor.dtype == torch.float32 and not tensor.is_sparse
        for tensor in [*gradients, *(variable.value for variable in variables)]
    )


def _fused_update(optimizer, gradients, variables):
    with torch.no_grad():
        step = int(optimizer.iterations) + 1
        are_parts = hasattr(variables[0], "whole")
        scale = _clip_divisor(gradients, optimizer.global_clipnorm, are_parts)
        rate = float(optimizer.learning_rate)
        for (weight_decay, factor), group in _grouped(optimizer, gradients, variables).items():
            indices = [optimizer._get_variable_index(variable) for _, variable in group]
            torch._fused_adamw_(
                [variable.value.data for _, variable in group],
                [gradient for gradient, _ in group],
                [optimizer._momentums[i].value.data for i in indices],
                [optimizer._velocities[i].value.data for i in indices],
                [],
                [torch.tensor(float(step)) for _ in group],
                lr=rate * factor,
                beta1=optimizer.beta_1,
                beta2=optimizer.beta_2,
                weight_decay=weight_decay,
                # Keras adds epsilon before the bias correction of the second moment, PyTorch after.
                eps=optimizer.epsilon / (1 - optimizer.beta_2**step) ** 0.5,
                amsgrad=False,
                maximize=False,
                grad_scale=scale,
                found_inf=None,
            )


def _clip_divisor(gradients, global_clipnorm, are_parts=False):
    """What to divide gradients by so that their joint norm is at most `global_clipnorm`."""
    if not global_clipnorm:
        return None
    norms = whole_norms(gradients) if are_parts else torch.stack(torch._foreach_norm(gradients))
    norm = torch.linalg.vector_norm(norms)
    # Like Keras: a norm that is not finite makes NaN of everything instead of nothing.
    return torch.clamp(norm / global_clipnorm, min=1.0) + (norm - norm)


def _grouped(optimizer, gradients, variables):
    """`{(weight_decay, factor of the rate): [(gradient, variable), ...]}`."""
    groups, factors = {}, getattr(optimizer, "rate_factors", None)
    for gradient, variable in zip(gradients, variables, strict=True):
        decays = optimizer.weight_decay and optimizer._use_weight_decay(variable)
        factor = factors[optimizer._get_variable_index(variable)] if factors else 1.0
        key = optimizer.weight_decay if decays else 0.0, factor
        groups.setdefault(key, []).append((gradient, variable))
    return groups
