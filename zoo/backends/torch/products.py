"""Matrix products by oneDNN, which PyTorch has for its compiler and does not use by itself.

On AMD processors they take between a half and nine tenths of the time of PyTorch's own. They are in
float32 like those, and differ from them in rounding alone.
"""

import torch


def product(x, weight):
    """`x @ weight` for `x` `(rows, n)` and `weight` `(n, m)`, with gradients."""
    if x.dim() != 2 or not has_fast_products(x.device, x.dtype, weight.dtype):
        return x @ weight
    return _Product.apply(x, weight)


def linear(x, weight):
    """`x @ weight.T` for `x` `(rows, n)` and `weight` `(m, n)`, without gradients."""
    if not has_fast_products(x.device, x.dtype, weight.dtype):
        return x @ weight.T
    return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")


def int8_product(x, weight, scale):
    """What `zoo.backends.common.int8_product` does: on the CPU in whole numbers, by oneDNN."""
    step = x.abs().amax(-1, keepdim=True).clamp_min(1e-30) / 127
    whole = (x / step).round()
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        sums = torch._int_mm(whole.to(torch.int8), weight.T)
    else:
        sums = whole @ weight.T.to(torch.float32)
    return sums * step * scale


def has_fast_products(device, *dtypes):
    """Whether oneDNN is there for these tensors.

    Compilers, `torch.jit.trace` and exporters get the plain product, for which they have rules.
    """
    return (
        device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and all(dtype == torch.float32 for dtype in dtypes)
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def has_bfloat16_products(device, *dtypes):
    """Whether oneDNN multiplies these tensors in bfloat16, added up in float32."""
    return (
        device.type == "cpu"
        and all(dtype == torch.bfloat16 for dtype in dtypes)
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return linear(x, weight.T)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        d_x = linear(gradient, weight) if ctx.needs_input_grad[0] else None
        d_weight = x.T @ gradient if ctx.needs_input_grad[1] else None  # oneDNN is no faster here
        return d_x, d_weight
