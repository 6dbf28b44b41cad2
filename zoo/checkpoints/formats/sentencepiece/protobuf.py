"""Protocol buffers' wire format, read strictly by a schema: no runtime, nothing generated.

https://protobuf.dev/programming-guides/encoding/
"""

import struct
from typing import NamedTuple

VARINT, FIXED_64, BYTES, FIXED_32 = 0, 1, 2, 5
SIZES = {FIXED_64: 8, FIXED_32: 4}


class Field(NamedTuple):
    """What a schema says of a field.

    Attributes:
        name: in the dict that `message` gives.
        kind: `"int"`, `"bool"`, `"float"`, `"text"` or `"bytes"`.
        default: the value where it is absent.
    """

    name: str
    kind: str
    default: object = None


WIRE_TYPES = {"int": VARINT, "bool": VARINT, "float": FIXED_32, "text": BYTES, "bytes": BYTES}


def fields(data):
    """`(number, wire type, value)` of each field in bytes, one after the other.

    A value is an int, or bytes; its meaning is the schema's.

    Raises:
        ValueError: cut short, or no such format.
    """
    place, end = 0, len(data)
    while place < end:
        key, place = varint(data, place)
        number, wire_type = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field has the number 0")
        if wire_type == VARINT:
            value, place = varint(data, place)
        else:
            if wire_type == BYTES:
                size, place = varint(data, place)
            elif wire_type in SIZES:
                size = SIZES[wire_type]
            else:
                raise ValueError(f"field {number} has the wire type {wire_type}")
            if size > end - place:
                raise ValueError(f"field {number} is cut short")
            value = data[place : place + size]
            place += size
        yield number, wire_type, value


def varint(data, place):
    """An integer of 7 bits a byte, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise ValueError("it is cut short")
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >= 2**64:
                break
            return value, place
    raise ValueError("an integer is over 64 bits")


def message(data, schema):
    """The fields of a message that occur once each.

    Args:
        data: bytes.
        schema: `{number: Field}`; other fields are left out.

    Returns:
        `{name: value}` of all fields of the schema.

    Raises:
        ValueError: a field is there twice, or is not what the schema says.
    """
    values = {}
    for number, wire_type, value in fields(data):
        if number not in schema:
            continue
        name, kind, _ = schema[number]
        if name in values:
            raise ValueError(f"{name} is there twice")
        if wire_type != WIRE_TYPES[kind]:
            raise ValueError(f"{name} has the wire type {wire_type}")
        values[name] = decoded(value, name, kind)
    return {field.name: field.default for field in schema.values()} | values


def decoded(value, name, kind):
    if kind == "text":
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise ValueError(f"{name} must be UTF-8") from None
    if kind == "float":
        return struct.unpack("<f", value)[0]
    if kind == "bool":
        return value != 0
    if kind == "int":
        return value - 2**64 if value >= 2**63 else value
    return value
