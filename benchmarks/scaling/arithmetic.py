"""Memory, computing and communication of a training step, by what it is made of."""

import dataclasses

# Dense bfloat16 and memory of an H100 by its maker's data sheet; the share is what `zoo train`
# plans with.
GPU = {"flops": 989e12, "used": 0.4, "memory": 80e9}
# Bytes a second for each GPU and direction: NVLink within a machine of eight, 400 Gbit/s outside.
BANDWIDTH = {"inside": 450e9, "between": 50e9}
MACHINE = 8
TOKENS = 2**14  # of a GPU and step
LENGTH = 2048
STATE_BYTES = 16  # of a parameter: weight, gradient and two moments in float32
KEPT_BYTES = 34  # of a feature and token of a block, in 16 bits (Korthikanti et al., 2022)
LOGITS_BYTES = 2**27 * 2  # of the chunk that the head's loss holds, and its gradient


@dataclasses.dataclass(frozen=True)
class Model:
    """A GPT: its parameters, blocks, and width."""

    parameters: float
    layers: int
    width: int


MODELS = {
    "124M": Model(124e6, 12, 768),
    "355M": Model(355e6, 24, 1024),
    "1.3B": Model(1.3e9, 24, 2048),
    "2.7B": Model(2.7e9, 32, 2560),
    "7B": Model(6.7e9, 32, 4096),
}


@dataclasses.dataclass(frozen=True)
class Plan:
    """A step of a model on some GPUs, in a layout, with blocks computed again or kept."""

    model: Model
    gpus: int
    layout: str
    recomputes: bool

    @property
    def state_bytes(self):
        """Of each GPU; sharded ones gather two blocks at a time besides."""
        whole = STATE_BYTES * self.model.parameters
        if self.layout == "data":
            return whole
        return whole / self.gpus + 2 * 4 * self.model.parameters / self.model.layers

    @property
    def feature_bytes(self):
        """Of a feature and token: all that blocks keep; or their inputs, and all of one."""
        if self.recomputes:
            return 2 * self.model.layers + KEPT_BYTES
        return KEPT_BYTES * self.model.layers

    @property
    def activation_bytes(self):
        return TOKENS * self.model.width * self.feature_bytes + LOGITS_BYTES

    @property
    def memory(self):
        return self.state_bytes + self.activation_bytes

    @property
    def computing_seconds(self):
        """6 FLOPs a parameter and token, 12 a layer, feature and position for attention."""
        of_token = 6 * self.model.parameters + 12 * self.model.layers * self.model.width * LENGTH
        again = 4 / 3 if self.recomputes else 1
        return again * TOKENS * of_token / (GPU["flops"] * GPU["used"])

    @property
    def sent_bytes(self):
        """Of each GPU: a ring's all-reduce is a reduce-scatter and an all-gather, (n-1)/n each.

        Sharded weights are gathered for the forward and for the backward pass, and the gradients
        are scattered; all in float32.
        """
        passes = 2 if self.layout == "data" else 3
        return passes * 4 * self.model.parameters * (self.gpus - 1) / self.gpus

    @property
    def sending_seconds(self):
        speed = BANDWIDTH["inside" if self.gpus <= MACHINE else "between"]
        return self.sent_bytes / speed

    @property
    def overlapped(self):
        """The share of sending that hides behind computing: FSDP2's; ours adds up at the end."""
        return 0.0 if self.layout == "data" else 0.8

    @property
    def seconds(self):
        hidden = min(self.overlapped * self.sending_seconds, self.computing_seconds)
        return self.computing_seconds + self.sending_seconds - hidden

    @property
    def efficiency(self):
        """Of the speed of as many GPUs that say nothing to each other and keep all."""
        alone = self.computing_seconds / (4 / 3 if self.recomputes else 1)
        return alone / self.seconds

    @property
    def fits(self):
        return self.memory < 0.9 * GPU["memory"]

    def arithmetic(self):
        """How the numbers come about, as text."""
        m, n = self.model, self.gpus
        return "\n".join(
            [
                f"{m.parameters / 1e9:.1f}B on {n} GPUs, {self.layout}"
                f"{', recompute=blocks' if self.recomputes else ''}, {TOKENS:,} tokens a GPU:",
                f"  state       {STATE_BYTES} B x {m.parameters:.2g}"
                + (f" / {n} + 2 blocks in float32" if self.layout != "data" else "")
                + f" = {self.state_bytes / 1e9:.1f} GB",
                f"  activations {TOKENS:,} x {m.width} x {self.feature_bytes} B + the head's chunk"
                f" = {self.activation_bytes / 1e9:.1f} GB",
                f"  computing   {self.computing_seconds:.3f} s",
                f"  sending     {self.sent_bytes / 1e9:.1f} GB = {self.sending_seconds:.3f} s, of "
                f"which {self.overlapped:.0%} may hide",
                f"  step        {self.seconds:.3f} s, {n * TOKENS / self.seconds:,.0f} tokens/s, "
                f"{self.efficiency:.0%} of {n} GPUs alone",
            ]
        )


def plan(model, gpus, layout):
    """The plan of a layout that keeps all, where that fits; else one that computes blocks again."""
    kept = Plan(model, gpus, layout, recomputes=False)
    return kept if kept.fits else Plan(model, gpus, layout, recomputes=True)


def best(model, gpus):
    """The layout that fits and takes least; None if none fits."""
    plans = [plan(model, gpus, layout) for layout in ("data", "sharded")]
    return min((p for p in plans if p.fits), key=lambda p: p.seconds, default=None)


def table(counts=(8, 64, 512)):
    """Rows of models, GPUs and the layout to choose, as Markdown."""
    lines = [
        "| model | GPUs | layout | memory | computing | sending | tokens/s | efficiency |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for name, model in MODELS.items():
        for count in counts:
            chosen = best(model, count)
            if chosen is None:
                lines.append(f"| {name} | {count} | none fits | | | | | |")
                continue
            layout = chosen.layout + (", recompute" if chosen.recomputes else "")
            lines.append(
                f"| {name} | {count} | {layout} | {chosen.memory / 1e9:.0f} GB | "
                f"{chosen.computing_seconds:.2f} s | {chosen.sending_seconds:.2f} s | "
                f"{count * TOKENS / chosen.seconds:,.0f} | {chosen.efficiency:.0%} |"
            )
    return "\n".join(lines)
