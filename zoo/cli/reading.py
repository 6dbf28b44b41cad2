"""`zoo embed`, `fill`, `tag` and `answer`, and `zoo classify`."""

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.running import AsJson, Config, Model, command, load_model, show, texts_of

Texts = Annotated[list[str] | None, typer.Argument(help="Texts; - for lines of standard input.")]


def add_to(app):
    """Make these commands of an app."""
    command(app, "embed", 'zoo embed runs/embedder "A cat sleeps." --out vectors.npy')(embed)
    command(app, "fill", 'zoo fill bert-small "The captain of the [MASK] gave orders."')(fill)
    command(app, "classify", 'zoo classify runs/tickets "My order is late."')(classify)
    command(app, "tag", 'zoo tag runs/tagger "Ada lives in London."')(tag)
    example = 'zoo answer runs/answerer "Who came?" --context "Ada came."'
    command(app, "answer", example)(answer)


def embed(
    model: Model,
    texts: Texts = None,
    out: Annotated[Path | None, typer.Option(help="A .npy file; else JSON is printed.")] = None,
    config: Config = None,
):
    """Turn texts into vectors."""
    import numpy as np

    given = texts_of(texts)
    vectors = np.asarray(load_model(model, task="embedding").encode(given))
    if out is None:
        show([[round(float(x), 6) for x in row] for row in vectors], True)
        return
    np.save(out, vectors)
    show({"vectors": len(vectors), "dimensions": vectors.shape[1], "out": str(out)}, False)


def fill(
    model: Model,
    texts: Texts = None,
    top_k: Annotated[int, typer.Option(help="Candidates for each mask.")] = 5,
    as_json: AsJson = False,
    config: Config = None,
):
    """Find the likeliest tokens behind [MASK]."""
    given = texts_of(texts)
    found = load_model(model, ("masked_lm",)).fill(given, top_k=top_k)
    show(found, as_json, "\n".join(str(one) for one in found))


def classify(model: Model, texts: Texts = None, as_json: AsJson = False, config: Config = None):
    """Find the label of each text."""
    given = texts_of(texts)
    found = load_model(model, ("text_classification",)).predict_labels(given)
    lines = [f"{one['label']}\t{text}" for one, text in zip(found, given, strict=True)]
    show(found, as_json, "\n".join(lines))


def tag(model: Model, texts: Texts = None, as_json: AsJson = False, config: Config = None):
    """Label the words of texts."""
    found = load_model(model, ("token_classification",)).tag(texts_of(texts))
    lines = [f"{one['label']}\t{one['text']}" for row in found for one in row]
    show(found, as_json, "\n".join(lines))


def answer(
    model: Model,
    question: Annotated[str, typer.Argument(help="The question.")],
    context: Annotated[str | None, typer.Option(help="The text with the answer.")] = None,
    context_file: Annotated[Path | None, typer.Option(help="Or a file with it.")] = None,
    top_k: Annotated[int, typer.Option(help="Answers, the best first.")] = 1,
    as_json: AsJson = False,
    config: Config = None,
):
    """Find the answer to a question in a text."""
    from zoo.files import read_text

    if (context is None) == (context_file is None):
        raise ValueError("The answer is looked for in a text: pass --context or --context-file.")
    text = context if context_file is None else read_text(context_file)
    found = load_model(model, ("question_answering",)).answer(question, text, top_k=top_k)
    rows = found if isinstance(found, list) else [found]
    show(found, as_json, "\n".join(row["text"] or "no answer" for row in rows))
