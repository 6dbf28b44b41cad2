"""Every argument of everything that users call, with what is wrong for it: one clear sentence.

It comes before any work is done, and names the argument. The table is `wrong_inputs.py`; what is
public and has no row there fails.
"""

import inspect
import re
import types

import pytest

import zoo
from tests import wrong_inputs as table
from tests.models import tiny_backbone, tiny_gpt, tiny_transformer, word_pieces
from zoo.tasks.base import Task

TEXTS, PAIRS = ["the sea was calm", "it was late"], [("the sea", "calm"), ("it was", "late")]
QUESTION = {
    "id": "1",
    "question": "who?",
    "context": "the sea was calm",
    "answers": [{"text": "calm", "answer_start": 12}],
}
# What Python and Keras say by themselves.
RAW = re.compile(
    r"has no attribute|not supported between|unsupported operand|object is not|argument should be|"
    r"must be real number|invalid literal|could not convert|cannot be interpreted|embedded null|"
    r"Exception encountered|not subscriptable|Errno|truth value|unhashable|out of range$|"
    r"expected str|has no len|can only concatenate|unexpected keyword|ambiguous"
)
MODELS = {
    "CausalLM": lambda: zoo.CausalLM(
        tiny_gpt().backbone, tiny_gpt().tokenizer, chat_template="{{ messages[0]['content'] }}"
    ),
    "Seq2SeqLM": lambda: tiny_transformer(),
    "MaskedLM": lambda: zoo.MaskedLM(tiny_backbone(), word_pieces()),
    "BertPretrainer": lambda: zoo.BertPretrainer(tiny_backbone(), word_pieces()),
    "TextClassifier": lambda: zoo.TextClassifier(tiny_backbone(), word_pieces(), ["neg", "pos"]),
    "TokenClassifier": lambda: zoo.TokenClassifier(tiny_backbone(), word_pieces(), ["neg", "pos"]),
    "QuestionAnswerer": lambda: zoo.QuestionAnswerer(tiny_backbone(), word_pieces()),
    "TextEmbedder": lambda: zoo.TextEmbedder(tiny_backbone(), word_pieces()),
}
DATA = {  # x and y of each task
    "CausalLM": (TEXTS, None),
    "Seq2SeqLM": (PAIRS, None),
    "MaskedLM": (TEXTS, None),
    "BertPretrainer": (TEXTS, None),
    "TextClassifier": (TEXTS, ["neg", "pos"]),
    "TokenClassifier": ([["the", "sea"], ["late"]], [["neg", "pos"], ["pos"]]),
    "QuestionAnswerer": ([QUESTION, QUESTION | {"id": "2"}], None),
    "TextEmbedder": (PAIRS, None),
}
OTHERS = {  # sound arguments of the other verbs
    "generate": {"max_new_tokens": 2},
    "score": {},
    "predict_tags": {"sentences": [["the", "sea"]]},
    "predict_answers": {"questions": [QUESTION]},
    "answer": {"question": "who?", "context": "the sea"},
    "fill": {"texts": "the [MASK]"},
    "freeze": {"what": "backbone"},
}


class Worked(BaseException):
    """What is thrown where work would begin."""


def worked(*args, **kwargs):
    raise Worked


@pytest.fixture
def no_work(monkeypatch):
    """Whatever would be computed throws."""
    monkeypatch.setattr(zoo.backends.backend, "adapt_batches", worked)
    for verb in ("fit", "evaluate", "predict", "train_on_batch", "test_on_batch"):
        monkeypatch.setattr(zoo.backends.backend.Trainer, verb, worked, raising=False)
    monkeypatch.setattr(zoo.tasks.runs.Runs, "outputs_of", worked)
    monkeypatch.setattr(zoo.generation.Decoder, "start", worked)
    for cls in (zoo.CausalLM, zoo.Seq2SeqLM):
        monkeypatch.setattr(cls, "_row_nats", worked)


def reach(call):
    """Call; True where it works or came to work."""
    try:
        result = call()
        if isinstance(result, types.GeneratorType):
            next(result)
    except Worked:
        pass
    return True


def complaints(call, sound, kinds):
    """What is wrong with the errors of wrong arguments, one line each."""
    found = []
    for argument, kind in kinds.items():
        values, words = table.KINDS[kind]
        for value in values:
            arguments = {**sound, argument: value}
            said = complaint(lambda: call(**arguments), argument, words)  # noqa: B023
            if said:
                found.append(f"{argument}={value!r}: {said}")
    return found


def complaint(call, argument, words):
    try:
        reach(call)
    except (TypeError, ValueError, OSError) as error:
        text = str(error)
        if RAW.search(text) or not text:
            return f"raw {type(error).__name__}: {text[:150]}"
        if not re.search("|".join(filter(None, (re.escape(argument), words))), text):
            return f"does not name it: {text[:150]}"
        if len(text) > 500:
            return f"{len(text)} characters: {text[:150]}"
        return None
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:150]}"
    return "accepted"


def rows_of(task):
    """`{verb: {argument: kind}}` of a task."""
    beside = {"y": table.BESIDE.get(task, "refused"), "class_weight": "weights of classes"}
    rows = {}
    for verb, kinds in {**table.VERBS, **table.TASKS[task]}.items():
        taken = inspect.signature(getattr(getattr(zoo, task), verb)).parameters
        rows[verb] = {**kinds, **{name: kind for name, kind in beside.items() if name in taken}}
    return rows


def sound_arguments(task, verb):
    x, y = DATA[task]
    parameters = list(inspect.signature(getattr(getattr(zoo, task), verb)).parameters)
    if verb in OTHERS:
        first = {"score": TEXTS, "generate": TEXTS[0]}.get(verb)
        found = {} if first is None else {parameters[1]: first}
        if task == "Seq2SeqLM" and verb == "score":
            found["targets"] = TEXTS
        return found | OTHERS[verb]
    if verb == "similarity":
        return {"texts": TEXTS, "others": TEXTS}
    if verb == "encode_chat":
        return {"messages": TEXTS[0]}
    if verb in ("chat", "stream_chat"):
        return {"messages": TEXTS[0], "max_new_tokens": 2}
    if verb == "stream":
        return {"prompt": TEXTS[0], "max_new_tokens": 2}
    if "x" in parameters:
        return {"x": x} if y is None or "y" not in parameters else {"x": x, "y": y}
    name = parameters[1]
    return {} if verb == "compile" else {name: TEXTS}


@pytest.fixture(scope="module", params=MODELS)
def task(request):
    return request.param, MODELS[request.param]()


def test_every_verb_of_a_task(task, no_work):
    name, model = task
    found = []
    for verb, kinds in rows_of(name).items():
        call, sound = getattr(model, verb), sound_arguments(name, verb)
        assert reach(lambda: call(**sound))  # noqa: B023
        found += [f"{name}.{verb} {one}" for one in complaints(call, sound, kinds)]
    assert not found, "\n" + "\n".join(found)


def test_every_constructor_of_a_task(task):
    name, model = task
    cls = getattr(zoo, name)
    sound = {"backbone": model.backbone, "tokenizer": model.tokenizer}
    if "labels" in table.CONSTRUCTORS[name]:
        sound["labels"] = ["neg", "pos"]
    found = complaints(lambda **arguments: cls(**arguments), sound, table.CONSTRUCTORS[name])
    assert not found, "\n" + "\n".join(found)


def test_every_public_argument_of_a_task_has_a_row(task):
    name, _ = task
    cls, rows = getattr(zoo, name), rows_of(name)
    for verb in dir(cls):
        function = inspect.getattr_static(cls, verb)
        room = getattr(function, "__module__", "")
        is_ours = room.startswith("zoo.") and not room.startswith("zoo.backends.")  # Keras' own
        if (
            not is_ours
            or not inspect.isfunction(function)
            or verb.startswith("_")
            or verb in table.INNER
        ):
            continue
        assert verb in rows, f"{name}.{verb} has no row"
        assert named(function) - {"self"} == set(rows[verb]), f"{name}.{verb}"
        if verb not in ("generate", "stream", "chat", "stream_chat", "encode_chat"):
            assert named(function) - {"self"} <= set(inspect.get_annotations(function)), verb
    constructor = named(cls.__init__) | named(Task.__init__) - {"inputs", "outputs"}
    assert constructor - {"self"} == set(table.CONSTRUCTORS[name])


def named(function):
    """The names of a function's arguments, without those that stand for others."""
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind not in kinds}
