"""Adapters of low rank, saved as what they are."""


class KeepsAdapters:
    """A layer of Keras' that saves its LoRA adapters beside its weights.

    Keras adds them to the weights when it saves a layer, and loads zeros in their place, which
    would learn no more. Hu et al., 2021, https://arxiv.org/abs/2106.09685.
    """

    def save_own_variables(self, store):
        if not self.lora_enabled:
            super().save_own_variables(store)
            return
        for weight in self.weights:
            store[weight.name] = weight

    def load_own_variables(self, store):
        if not self.lora_enabled or "0" in store:  # as Keras numbers them
            super().load_own_variables(store)
            return
        for weight in self.weights:
            weight.assign(store[weight.name])
