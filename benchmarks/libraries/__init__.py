"""The libraries that are measured, each behind the same few functions.

`gpt` holds a module for each library with

    build(sizes)            a `Model` with random weights, ready to train
    load(folder)            a `Model` from a folder that its `save` has written
    text_packer(length)     a function: texts to rows of `length` tokens, of gpt-small's tokenizer

    Model.fit(token_ids, labels, rows)        train, `rows` rows a step
    Model.generate(prompts, new_tokens)       greedy continuations, one row for each prompt
    Model.first_token(prompt, context)        the first token of a text that may fill the context
    Model.logits(token_ids)                   as a NumPy array
    Model.save(folder)

and `bert`, with the vocabulary of `inputs.word_pieces`,

    build_classifier(sizes)     a `Classifier` into `sizes.num_labels` with random weights
    build_embedder(sizes)       an `Embedder` with random weights

    Classifier.fit(texts, labels, rows)       train for an epoch; the mean loss of its steps
    Classifier.count_tokens(texts)            how many tokens of each text it reads
    Embedder.encode(texts)                    a unit vector for each text, as a NumPy array

and `seq2seq`

    build(sizes)                an encoder-decoder with random weights, ready to train

    Model.num_parameters                            an int
    Model.fit(sources, targets, labels, rows)       train, `rows` pairs a step; their mean loss
    Model.translate(sources, new_tokens, width)     token ids for each source, which has its end
                                                    token: greedy, or of a beam so wide
    Model.logits(sources, targets)                  of targets with their start token, as an array

and `lstm`

    build(sizes)                a language model with random weights, ready to train

    Model.num_parameters                      an int
    Model.fit(token_ids, labels, rows)        train, `rows` rows a step; their mean loss

A module has those of them that its library is measured by, and imports the library at its top:
the first import is part of what loading costs.
"""

import importlib
from pathlib import Path

TOKENIZER = Path(__file__).parents[2] / "presets" / "gpt-small" / "tokenizer.json"


def import_library(name, family):
    """The module of a library for models of a family, `"gpt"` for one."""
    return importlib.import_module(f"benchmarks.libraries.{family}.{name}")
