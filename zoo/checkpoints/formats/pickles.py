"""Pickles of plain data and of PyTorch's tensors, read without unpickling.

A pickle is a program that may call any function of Python. Here its instructions are only looked
at: numbers, text, lists, dicts and tuples are made of those that say so, and the three functions
that a dict of tensors needs are done by this library. All others are refused by their names, and so
is every instruction that such files do not have. Nothing is imported or called.

Tensors in pickles: https://docs.pytorch.org/docs/stable/notes/serialization.html#torch-save
"""

import pickletools
from typing import NamedTuple

MAX_BYTES = 4 * 2**20  # of names and shapes; the numbers are not in the pickle
MAX_STEPS = 200_000  # about 35 for each tensor of a state dict
MAX_KEY = 2**31  # integers beyond it may be chosen so that a dict takes minutes to fill

ORDERED_DICT = "collections OrderedDict"
REBUILD = "torch._utils _rebuild_tensor_v2"
STORAGES = {  # PyTorch's names of the types of numbers
    "torch FloatStorage": "F32",
    "torch DoubleStorage": "F64",
    "torch HalfStorage": "F16",
    "torch BFloat16Storage": "BF16",
    "torch LongStorage": "I64",
    "torch IntStorage": "I32",
    "torch ShortStorage": "I16",
    "torch CharStorage": "I8",
    "torch ByteStorage": "U8",
    "torch BoolStorage": "BOOL",
}
ALLOWED = (ORDERED_DICT, REBUILD, *STORAGES)

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE"),
}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
MARK = object()


class Global(NamedTuple):
    """A function or class that a pickle names."""

    name: str


class Storage(NamedTuple):
    """Numbers that lie in a file of their own: `(its name, a code of safetensors, how many)`."""

    key: str
    dtype: str
    count: int


class TensorView(NamedTuple):
    """A tensor as its pickle describes it: a part of a `Storage`."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


def read(data, source):
    """The contents of a pickle of plain data and tensors.

    Args:
        data: bytes, or a `BytesIO`, which is left where the pickle ends.
        source: what to call it in errors.

    Returns:
        Numbers, text, lists, tuples and dicts; tensors as `TensorView`.

    Raises:
        ValueError: damaged, too large, or anything else is in it.
    """
    size = len(data) if isinstance(data, bytes) else len(data.getbuffer())
    if size > MAX_BYTES:
        raise ValueError(f"{source} must be at most {MAX_BYTES} bytes; got {size}.")
    machine = Machine(source)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > MAX_STEPS:
                raise Refused(f"{source} must have at most {MAX_STEPS} instructions.")
            machine.step(opcode.name, argument)
        (contents,) = machine.stack
    except Refused:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, UnicodeError) as error:
        raise ValueError(
            f"{source} is damaged: it is no sound pickle ({error}). Fetch it again."
        ) from None
    return contents


class Refused(ValueError):
    """Sound, but not allowed."""


class Machine:
    """The stack and the memory of a pickle's program."""

    def __init__(self, source):
        self.source = source
        self.stack = []
        self.memory = {}

    def step(self, name, argument):
        """Do one instruction, by its name in `pickletools`."""
        if name in ("PROTO", "FRAME", "STOP"):
            return
        if name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in LITERALS:
            self.stack.append(argument)
        elif name in TUPLES:
            self.stack.append(tuple(self.pop(TUPLES[name])))
        elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            place = len(self.memory) if name == "MEMOIZE" else argument
            self.memory[place] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memory[argument])
        elif name in STEPS:
            STEPS[name](self, argument)
        else:
            what = f"{name} {argument[:80]!r}" if isinstance(argument, str) else name
            raise Refused(
                f"{self.source} must hold plain data and tensors alone, but has the instruction "
                f"{what}, which no such file needs. It was not read."
            )

    def pop(self, count):
        """The last `count` values of the stack."""
        kept = len(self.stack) - count
        last = self.stack[max(kept, 0) :]
        if kept < 0 or any(value is MARK for value in last):
            raise ValueError("its stack is empty")
        del self.stack[kept:]
        return last

    def pop_to_mark(self):
        values = []
        while (value := self.stack.pop()) is not MARK:
            values.append(value)
        return values[::-1]

    def put_name(self, name):
        if name not in ALLOWED:
            raise Refused(
                f"{self.source} must hold plain data and tensors alone, but names "
                f"{name.replace(' ', '.')[:80]!r}, which could run code. It was not read."
            )
        self.stack.append(Global(name))

    def put_two_texts_name(self, _):
        self.put_name(" ".join(self.pop(2)))

    def extend_list(self, _):
        values = self.pop_to_mark()
        self.top(list).extend(values)

    def append(self, _):
        (value,) = self.pop(1)
        self.top(list).append(value)

    def set_items(self, _):
        self.update(self.pop_to_mark())

    def set_item(self, _):
        self.update(self.pop(2))

    def update(self, values):
        contents = self.top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) is not str and not (type(key) is int and abs(key) < MAX_KEY):
                raise ValueError("keys must be text, or integers below 2**31")
            contents[key] = value

    def top(self, kind):
        if type(self.stack[-1]) is not kind:
            raise ValueError(f"it fills something that is no {kind.__name__}")
        return self.stack[-1]

    def call(self, _):
        function, arguments = self.pop(2)
        name = function.name if isinstance(function, Global) else None
        if name == ORDERED_DICT and arguments == ():
            self.stack.append({})
        elif name == REBUILD:
            storage, offset, shape, strides, *_ = arguments
            self.stack.append(TensorView(storage, offset, shape, strides))
        else:
            raise ValueError("it calls what is no function")

    def put_storage(self, _):
        (what,) = self.pop(1)
        kind, dtype, key, _, count, *part_of = what
        is_storage = kind == "storage" and isinstance(dtype, Global)  # only texts are looked up
        if not is_storage or part_of not in ([], [None]):  # one more in files before PyTorch 1.6
            raise ValueError("it refers to what is no storage")
        self.stack.append(Storage(key, STORAGES[dtype.name], count))

    def leave_out_attributes(self, _):
        """PyTorch gives its dict of tensors an attribute with versions."""
        (attributes,) = self.pop(1)
        self.top(dict)
        if type(attributes) is not dict or set(attributes) - {"_metadata"}:
            raise ValueError("it sets attributes")


STEPS = {
    "MARK": lambda machine, _: machine.stack.append(MARK),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "GLOBAL": Machine.put_name,
    "STACK_GLOBAL": Machine.put_two_texts_name,
    "APPENDS": Machine.extend_list,
    "APPEND": Machine.append,
    "SETITEMS": Machine.set_items,
    "SETITEM": Machine.set_item,
    "REDUCE": Machine.call,
    "BINPERSID": Machine.put_storage,
    "BUILD": Machine.leave_out_attributes,
}
