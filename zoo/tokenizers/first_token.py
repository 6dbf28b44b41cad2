"""What a `tokenizer.json` says of the start of a text."""


def first_token(contents):
    """The id that a file's template puts before each text, as Llama's do; None for none.

    Templates that put something after a text, too, lay out rows of encoders: their tasks do that.
    """
    for part, single in templates(contents):
        if len(single) == 2 and "Sequence" in single[1]:
            name = single[0].get("SpecialToken", {}).get("id")
            ids = part.get("special_tokens", {}).get(name, {}).get("ids", [])
            return ids[0] if len(ids) == 1 else None
    return None


def ends_rows(contents):
    """Whether a file's template puts something after each text."""
    return any(single and "Sequence" not in single[-1] for _, single in templates(contents))


def templates(contents):
    """The steps of a post_processor that are templates, with what each makes of a text."""
    processor = contents.get("post_processor")
    parts = processor.get("processors") if is_of(processor, "Sequence") else [processor]
    for part in parts if isinstance(parts, list) else []:
        single = part.get("single") if is_of(part, "TemplateProcessing") else None
        if isinstance(single, list):
            yield part, single


def template(token, token_id):
    """The `post_processor` that puts a token before each text."""
    start = {"SpecialToken": {"id": token, "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    return {
        "type": "TemplateProcessing",
        "single": [start, first],
        "pair": [start, first, second],
        "special_tokens": {token: {"id": token, "ids": [token_id], "tokens": [token]}},
    }


def is_of(part, kind):
    return isinstance(part, dict) and part.get("type") == kind
