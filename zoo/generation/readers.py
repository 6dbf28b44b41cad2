"""How a model reads what there is, and then a token at a time.

Rows of a batch have texts of different lengths. All are aligned on the left. A causal model's rows
have a position each, and a step writes its token's keys there, over what padding left behind; a
recurrent state is that after a row's last real token; an encoder's padding is masked. So a row
computes exactly what it would compute alone.
"""

import math

from keras import ops, tree

from zoo.backends import backend
from zoo.backends.buckets import LENGTHS, bucket, bucket_sizes

CACHE_BUCKETS = 64
BEAM_BUCKETS = 16  # a beam's cache is moved at each step: it starts small, and grows


class PromptReader:
    """Continues prompts: their keys, or the state that they lead to, stand in the cache."""

    shares_cache = True

    def __init__(self, backbone):
        self.backbone = backbone

    def prompt_length(self, longest):
        return bucket(longest, LENGTHS, context_length(self.backbone))

    def num_read(self, longest, special_tokens):
        """How many positions of a cache are filled before the first new token."""
        return longest

    def cache_sizes(self, longest, max_new_tokens, grows):
        """The sizes that a cache has one after the other."""
        if self.backbone.is_recurrent:
            return [2**30]  # a state has room for any number
        total, most = longest + max_new_tokens, self.backbone.max_length
        if not grows:
            return [bucket(total, CACHE_BUCKETS, most)]
        sizes = bucket_sizes(total, BEAM_BUCKETS, most)
        return [size for size in sizes if size > longest and size >= self.prompt_length(longest)]

    def empty_cache(self, batch_size, size, context, copies):
        return self.backbone.make_cache(batch_size * copies, size)

    def begin(self, token_ids, lengths, constants, length, copies, keeps_hidden=False):
        """Logits of the first tokens, the state to go on from, and what every step reads: nothing.

        Rows come `copies` times. With `keeps_hidden`, the state has the hidden states of what was
        read, `hidden` `(rows, read, hidden_dim)`, and which of them are real, `given`; that of a
        later step is `(rows, hidden_dim)`.
        """
        backbone = self.backbone
        cache, mask = backbone.make_cache(ops.shape(token_ids)[0], length), ()
        if backbone.is_recurrent:
            mask = (ops.arange(ops.shape(token_ids)[1], dtype="int32") < lengths[:, None],)
        hidden, cache = backbone.call_with_cache(token_ids, cache, 0, *mask)
        last = ops.take_along_axis(hidden, (lengths - 1)[:, None, None], axis=1)
        state = {"cache": cache, "position": lengths}
        if keeps_hidden:
            places = ops.arange(ops.shape(token_ids)[1], dtype="int32")
            state |= {"hidden": hidden, "given": places < lengths[:, None]}
        read = backbone.logits(last)[:, 0], state
        if not (isinstance(copies, int) and copies == 1):
            read = tree.map_structure(lambda x: repeat_rows(x, copies), read)
        return *read, {}

    def step(self, state, context):
        """Logits `(rows, vocab_size)` of the next tokens, and the state that has read the last."""
        hidden, cache = self.backbone.call_with_cache(
            state["token"][:, None], state["cache"], state["position"]
        )
        return self.backbone.logits(hidden)[:, 0], further(state, cache, hidden)


class SourceReader:
    """Writes the targets of sources: all targets of a source share what was read of it."""

    shares_cache = False

    def __init__(self, backbone):
        self.backbone = backbone

    def prompt_length(self, longest):
        return bucket(longest, LENGTHS, self.backbone.max_length)

    def num_read(self, longest, special_tokens):
        """How many positions of a cache are filled before the last token that is given."""
        return special_tokens.num_given

    def cache_sizes(self, read, max_new_tokens, grows):
        """The sizes that a cache has one after the other."""
        total, most = read + max_new_tokens, self.backbone.max_length
        if grows:
            return bucket_sizes(total, BEAM_BUCKETS, most)
        return [bucket(total, CACHE_BUCKETS, most)]

    def empty_cache(self, batch_size, size, context, copies):
        return self.backbone.make_cache(context["memory"], size, copies)

    def begin(self, token_ids, lengths, constants, length, copies, keeps_hidden=False):
        """As `PromptReader.begin`; what every step reads is what was read of the sources."""
        backbone, num_rows = self.backbone, ops.shape(token_ids)[0] * copies
        mask = ops.arange(ops.shape(token_ids)[1], dtype="int32") < lengths[:, None]
        memory = backbone.project_context(backbone.encode(token_ids, mask))
        memory = tree.map_structure(backend.in_order, memory)
        context = {"memory": memory, "padding_mask": mask}
        state = {
            "cache": backbone.make_cache(memory, length, copies),
            "position": ops.zeros((num_rows,), "int32"),
        }
        if keeps_hidden:
            state["hidden"] = None
        given = []
        for place in range(constants["start_ids"].shape[0]):
            state["token"] = ops.zeros((num_rows,), "int32") + constants["start_ids"][place]
            logits, state = self.step(state, context)
            given.append(state.get("hidden"))
        del state["token"]
        if keeps_hidden:
            state["hidden"] = ops.stack(given, axis=1)
            state["given"] = ops.ones((num_rows, len(given)), "bool")
        return logits, state, context

    def step(self, state, context):
        """Logits `(rows, vocab_size)` of the next tokens, and the state that has read the last."""
        hidden, cache = self.backbone.decode(
            state["token"][:, None],
            state["cache"],
            state["position"],
            context["memory"],
            context["padding_mask"],
        )
        return self.backbone.logits(hidden)[:, 0], further(state, cache, hidden)


def further(state, cache, hidden):
    """The state that has read one more token of each row."""
    state = {**state, "cache": cache, "position": state["position"] + 1}
    return state | {"hidden": hidden[:, 0]} if "hidden" in state else state


def repeat_rows(x, copies):
    """Each row `copies` times, one after the other, in memory of its own."""
    return backend.in_order(ops.repeat(x, copies, axis=0))


def context_length(backbone):
    """How many tokens a prompt and its continuation may have together."""
    return math.inf if backbone.is_recurrent else backbone.max_length
