"""`zoo generate`, `zoo chat` and `zoo translate`."""

import sys
from typing import Annotated

import typer

from zoo.cli.running import AsJson, Config, Model, command, load_model, show, texts_of

Prompts = Annotated[list[str] | None, typer.Argument(help="Texts; - for lines of standard input.")]


def add_to(app):
    """Make these commands of an app."""
    command(app, "generate", 'zoo generate gpt-small "It was a dark" --stream')(generate)
    command(app, "chat", "zoo chat runs/assistant --system 'You are brief.'")(chat)
    example = 'zoo translate transformer-small-en-fr "I have run out of patience."'
    command(app, "translate", example)(translate)


def generate(
    model: Model,
    prompts: Prompts = None,
    max_new_tokens: Annotated[int, typer.Option(help="The most tokens to write.")] = 64,
    sampler: Annotated[str, typer.Option(help="greedy, sample, top_k, top_p, ...")] = "top_p",
    temperature: Annotated[float | None, typer.Option(help="Of the sampler.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Of the sampler.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Of the sampler.")] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help="Of the sampler.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same text for the same seed.")] = None,
    stop: Annotated[list[str] | None, typer.Option(help="Texts that end it.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Print as it comes.")] = False,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, ...")] = None,
    as_json: AsJson = False,
    config: Config = None,
):
    """Continue texts."""
    texts = texts_of(prompts)
    arguments = {} if dtype is None else {"dtype": dtype}
    task = load_model(model, ("causal_lm", "seq2seq"), **arguments)
    others = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
    }
    how = {name: value for name, value in others.items() if value is not None}
    how |= {"max_new_tokens": max_new_tokens, "seed": seed, "stop": stop or None}
    if not any(name in how for name in others):
        how["sampler"] = sampler
    if not stream:
        found = task.generate(texts, verbose=0, **how)
        show(found, as_json, "\n".join(found))
        return
    if as_json or len(texts) > 1:
        raise ValueError("--stream writes one text as it comes: pass one prompt, without --json.")
    if task.task_name == "causal_lm":
        print(texts[0], end="", flush=True)
    for piece in task.stream(texts[0], **how):
        print(piece, end="", flush=True)
    print()


def chat(
    model: Model,
    system: Annotated[str | None, typer.Option(help="What the assistant is told first.")] = None,
    max_new_tokens: Annotated[int, typer.Option(help="The most tokens of an answer.")] = 256,
    sampler: Annotated[str, typer.Option(help="greedy, sample, top_k, top_p, ...")] = "top_p",
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16, ...")] = None,
    config: Config = None,
):
    """Talk with a model, a line at a time, until an empty line."""
    task = load_model(model, ("causal_lm",), **({} if dtype is None else {"dtype": dtype}))
    messages = [] if system is None else [{"role": "system", "content": system}]
    how = {"max_new_tokens": max_new_tokens, "sampler": sampler, "truncate": True}
    while line := asked():
        messages.append({"role": "user", "content": line})
        answer = ""
        for piece in task.stream_chat(messages, **how):
            print(piece, end="", flush=True)
            answer += piece
        print()
        messages.append({"role": "assistant", "content": answer})


def asked():
    """The next line of what is said; empty at the end."""
    prompt = "> " if sys.stdin.isatty() else ""
    try:
        return input(prompt).strip()
    except EOFError:
        return ""


def translate(
    model: Model,
    texts: Prompts = None,
    beams: Annotated[int, typer.Option(help="Hypotheses of the beam search.")] = 5,
    max_new_tokens: Annotated[int, typer.Option(help="The most tokens to write.")] = 64,
    as_json: AsJson = False,
    config: Config = None,
):
    """Write the targets of source texts, by beam search."""
    from zoo.generation import Beam

    given = texts_of(texts)
    task = load_model(model, ("seq2seq",))
    how = {"sampler": Beam(beams) if beams > 1 else "greedy", "max_new_tokens": max_new_tokens}
    found = task.generate(given, verbose=0, **how)
    show(found, as_json, "\n".join(found))
