"""The peers of `benchmarks.libraries`, on the device and in bfloat16."""

import torch

from benchmarks.libraries import import_library

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Peer:
    """What the peers do alike: weights in float32, products in bfloat16, an eager loop."""

    def __init__(self, quick):
        self.quick = quick

    def trainer(self, network, loss, learning_rate=3e-4, weight_decay=0.1):
        network.to(DEVICE).train()
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True
        )

        def fit(token_ids, labels, rows):
            arrays = (torch.from_numpy(array).long().split(rows) for array in (token_ids, labels))
            for ids, label in zip(*arrays, strict=True):
                with torch.autocast(DEVICE, torch.bfloat16):
                    step = loss(ids.to(DEVICE), label.to(DEVICE))
                step.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            step.item()  # when this is known, the device is done

        return fit


class PlainTorch(Peer):
    """GPT-2 from the paper, compiled whole; in toys eager, for compiling takes minutes."""

    def gpt_trainer(self, sizes):
        network = import_library("plain_torch", "gpt").build(sizes).network
        return self.trainer(network, network if self.quick else torch.compile(network))


class Transformers(Peer):
    """Hugging Face transformers in eager mode."""

    def gpt_trainer(self, sizes):
        network = import_library("transformers", "gpt").build(sizes).model
        # The model moves the labels by one itself, so it gets the token ids as labels.
        return self.trainer(network, lambda ids, _: network(ids, labels=ids, use_cache=False).loss)

    def bert_trainer(self, sizes):
        network = import_library("transformers", "bert").build_classifier(sizes).model
        return self.trainer(network, lambda ids, label: network(ids, labels=label).loss, 5e-5, 0.01)

    def writer(self, sizes):
        return self._writer(import_library("transformers", "gpt").build(sizes).model)

    def _writer(self, network):
        network = network.to(DEVICE, torch.bfloat16).eval()

        def write(prompts, new_tokens):
            token_ids = torch.tensor(prompts, device=DEVICE)
            rows = network.generate(
                token_ids,
                attention_mask=torch.ones_like(token_ids),
                do_sample=False,
                max_new_tokens=new_tokens,
                pad_token_id=0,
            )
            return rows.tolist()

        return write


class TransformersStatic(Transformers):
    """The same with a static cache, for which transformers compiles its steps on a GPU."""

    def writer(self, sizes):
        network = import_library("transformers", "gpt").build(sizes).model
        network.generation_config.cache_implementation = "static"
        return self._writer(network)


LIBRARIES = {
    "plain PyTorch, compiled": PlainTorch,
    "transformers": Transformers,
    "transformers, static cache": TransformersStatic,
}
