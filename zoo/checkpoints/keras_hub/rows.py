"""Rows of the tables of `families`, as KerasHub's layers name and shape their variables."""

from zoo.checkpoints.tables import Joined

BLOCKS = ("transformer_encoder", "transformer_decoder", "llama_transformer_decoder")  # numbered


class ByHeads(Joined):
    """Parts of a projection that have an axis for the heads: `(..., heads, head_dim)`."""

    def heads(self, arguments):
        return [arguments[share] for share in self.shares or ["num_heads"] * len(self.names)]

    def their_shapes(self, shape, arguments):
        heads = self.heads(arguments)
        head_dim = shape[-1] // sum(heads)
        return [(*shape[:-1], count, head_dim) for count in heads]

    def to_ours(self, arrays, arguments):
        return super().to_ours([a.reshape(*a.shape[:-2], -1) for a in arrays], arguments)

    def to_theirs(self, array, arguments):
        parts = super().to_theirs(array, arguments)
        return [
            part.reshape(*part.shape[:-1], count, -1)
            for part, count in zip(parts, self.heads(arguments), strict=True)
        ]


class FromHeads(Joined):
    """The projection back: `(heads, head_dim, hidden_dim)`."""

    def their_shapes(self, shape, arguments):
        heads = arguments["num_heads"]
        return [(heads, shape[0] // heads, shape[1])]

    def to_ours(self, arrays, arguments):
        return arrays[0].reshape(-1, arrays[0].shape[-1])

    def to_theirs(self, array, arguments):
        return [array.reshape(arguments["num_heads"], -1, array.shape[-1])]


def layer(ours, theirs, names=("kernel", "bias")):
    """Rows of the variables of a layer, which are numbered there."""
    return {f"{ours}/{name}": Joined(f"{theirs}/vars/{i}") for i, name in enumerate(names)}


def norm(ours, theirs):
    return layer(ours, theirs, ("gamma", "beta"))


def attention(ours, theirs, inputs=("qkv",)):
    parts = ("query", "key", "value")
    groups = [parts] if inputs == ("qkv",) else [parts[:1], parts[1:]]
    rows = {
        f"{ours}/{name}/{kind}": ByHeads([f"{theirs}/{part}_dense/vars/{i}" for part in group])
        for name, group in zip(inputs, groups, strict=True)
        for i, kind in enumerate(("kernel", "bias"))
    }
    return {
        **rows,
        f"{ours}/output/kernel": FromHeads(f"{theirs}/output_dense/vars/0"),
        f"{ours}/output/bias": Joined(f"{theirs}/output_dense/vars/1"),
    }


def block(ours, kind):
    theirs = f"layers/{kind}_{{i}}/"
    return {
        **attention(f"{ours}/attention", f"{theirs}_self_attention_layer"),
        **norm(f"{ours}/attention_norm", f"{theirs}_self_attention_layer_norm"),
        **layer(f"{ours}/feed_forward/inner", f"{theirs}_feedforward_intermediate_dense"),
        **layer(f"{ours}/feed_forward/outer", f"{theirs}_feedforward_output_dense"),
        **norm(f"{ours}/feed_forward_norm", f"{theirs}_feedforward_layer_norm"),
    }
