"""The libraries that are measured, each behind the same few functions.

    build(sizes)            a `Model` with random weights, ready to train
    load(folder)            a `Model` from a folder that its `save` has written
    text_packer(length)     a function: texts to rows of `length` tokens, of gpt-small's tokenizer

    Model.fit(token_ids, labels, rows)        train, `rows` rows a step
    Model.generate(prompts, new_tokens)       greedy continuations, one row for each prompt
    Model.first_token(prompt, context)        the first token of a text that may fill the context
    Model.logits(token_ids)                   as a NumPy array
    Model.save(folder)

A module has those of them that its library is measured by, and imports the library at its top:
the first import is part of what loading costs.
"""

from pathlib import Path

TOKENIZER = Path(__file__).parents[2] / "presets" / "gpt-small" / "tokenizer.json"
