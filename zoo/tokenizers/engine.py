"""The `tokenizers` library, with what it raises and panics turned into ValueErrors."""

import contextlib

import tokenizers


def build_engine(contents, source):
    """A `tokenizers.Tokenizer` from checked JSON; what it still refuses is a ValueError.

    It adds no tokens, cuts and pads nothing: objectives do, in the open.
    """
    with library_errors(f"{source} is not usable"):
        engine = tokenizers.Tokenizer.from_str(contents)
    engine.no_truncation()
    engine.no_padding()
    engine.post_processor = None  # the byte-level one would also trim spaces from the offsets
    engine.encode_special_tokens = True
    return engine


@contextlib.contextmanager
def library_errors(what):
    """Raise a ValueError that starts with `what` for whatever the Rust library fails with.

    TypeError and UnicodeError, which say that text is no text, pass.
    """
    try:
        yield
    except (TypeError, UnicodeError):
        raise
    except BaseException as error:
        # The library raises plain Exceptions; a panic of it is not even one.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"{what}: {error}.") from None


def failing_step(engine, texts):
    """What a tokenizer fails at when it encodes texts: the name of a part of its file."""
    for text in texts:
        try:
            part = "normalizer"
            if engine.normalizer is not None:
                text = engine.normalizer.normalize_str(text)
            part = "pre_tokenizer"
            if engine.pre_tokenizer is not None:
                engine.pre_tokenizer.pre_tokenize_str(text)
        except BaseException as error:
            if isinstance(error, Exception) or type(error).__name__ == "PanicException":
                return part
            raise
    return "model"
