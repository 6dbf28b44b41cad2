"""Tasks whose weight matrices are kept in 8 or 4 bits."""

import functools

import keras

from zoo.layers.gptq import gptq
from zoo.layers.initializers import weights_follow
from zoo.layers.quantized import MODES, Quantized, quantized
from zoo.tasks.calibrating import products_of_inputs

GROUP = 32  # inputs that share a factor in int4


class Quantizes:
    """A task that can be quantised, as a whole."""

    def quantize(self, mode="int8", config=None, group=GROUP, calibration=None):
        """Keep all weight matrices, embeddings and heads among them, in 8 or 4 bits from now on.

        Products take their inputs rounded to 8 bits too; see `zoo.layers.quantized`. Biases, norms
        and positions stay as they are. `zoo.save` stores such a model as it is, `zoo.load` and
        `zoo.export` have it as it was stored. It is trained by adapters alone (LoRA).

        Args:
            mode: `"int8"`, a scale for each output, or `"int4"`, where groups of inputs have a
                factor of their own too.
            config: Keras' own, of which nothing is used but the mode.
            group: int, inputs of a group in int4; it must divide the width of every matrix.
            calibration: texts of the kind that the model is for, or whatever else `fit` takes in
                memory, a tuple `(x, y)` with pairs: int4 rounds so that what they make of the
                layers stays as it is, rather than the weights (`zoo.layers.gptq`). A few dozen
                thousand tokens are enough. None rounds to the nearest.

        Raises:
            TypeError: a `calibration` that the task does not read.
            ValueError: another mode, a model that is quantised already, or a width that the group
                does not divide; the model is as it was.
        """
        if mode not in MODES:
            raise ValueError(f"quantize must be 'int8' or 'int4'; got {mode!r}.")
        if self.quantization is not None:
            raise ValueError(
                f"This model is quantised to {self.quantization} already, from which nothing "
                "better can be made: quantise the one that it was made of."
            )
        if isinstance(group, bool) or not isinstance(group, int) or group < 2:
            raise ValueError(f"group must be a whole number of at least 2; got {group!r}.")
        if calibration is not None and mode != "int4":
            raise ValueError(
                "calibration is for int4: int8 is near enough to floats without it. Leave it out, "
                f"or pass mode='int4'; got mode={mode!r}."
            )
        layers = self.quantizable_layers()
        size = keras.quantizers.Int4QuantizationConfig(block_size=group) if mode == "int4" else None
        for layer in layers:
            layer.check_quantization(mode, group)
        products = {} if calibration is None else products_of_inputs(self, calibration)
        for layer in layers:
            rounded = functools.partial(gptq, products[layer]) if layer in products else quantized
            layer.quantize(mode, config=size, rounded=rounded)
        # What was compiled reads other weights.
        self.train_function = self.test_function = self.predict_function = None

    def quantizable_layers(self):
        """All layers, of the backbone and the heads, that have matrices to quantise."""
        layers = [layer for layer in self._flatten_layers() if isinstance(layer, Quantized)]
        return [layer for layer in layers if layer.is_quantizable]

    @property
    def quantization(self):
        """`"int8"`, `"int4/32"` with the size of its groups, or None: how matrices are kept.

        Several of these, with commas between, where single layers were quantised by themselves.
        """
        kinds = {layer.quantization_name for layer in self.quantizable_layers()} - {None}
        return ", ".join(sorted(kinds)) or None

    def quantize_empty(self, quantization, names):
        """Make room for quantised weights, which are loaded next: nothing is computed.

        Args:
            quantization: str, as the attribute has it.
            names: of the weights that come; layers that they do not name stay as they are.
        """
        mode, _, group = quantization.partition("/")
        size = keras.quantizers.Int4QuantizationConfig(block_size=int(group)) if group else None
        with weights_follow():
            for layer in self.quantizable_layers():
                if any(f"{layer.path}/{name}_scale" in names for name in layer.matrices):
                    layer.quantize(mode, config=size)

    def check_trainable(self):
        """Raise ValueError where quantised weights would have to be trained."""
        layers = self.quantizable_layers()
        would_train = any(layer.quantization_mode and layer.trainable for layer in layers)
        if would_train and not any(getattr(layer, "lora_enabled", False) for layer in layers):
            raise ValueError(
                f"The weights of this model are quantised to {self.quantization}, and whole "
                "numbers have no gradients: train adapters over them (LoRA), by enable_lora(rank) "
                "of its Dense layers, or train the model first and quantise it then."
            )
