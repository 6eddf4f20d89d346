"""The plain data that crosses between the checker and the submission, and how one message is framed.

A copy lies beside `ratchet_check` in every image. Standard library only.
"""

# ruff: noqa: INP001 - lies in a folder of packages in the image

from __future__ import annotations

import json
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = struct.Struct("!I")
CALLS, ANSWERS = 3, 4
"""Descriptors of the submission's process."""

MAX_MESSAGE = 8 << 20

_TAGS = (list, tuple, dict, set, frozenset, bytes)


class NotPlain(TypeError):
    """A value that is not plain data, or too much of it."""


def plain(value: object) -> object:
    """A value as JSON can carry it; subclasses of plain types lose their class."""
    if value is None:
        return None
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).decode("latin-1")}
    if isinstance(value, dict):
        return {"dict": [[plain(key), plain(item)] for key, item in dict.items(value)]}
    if type(value) is list:
        return [plain(item) for item in value]
    for kind in _TAGS:
        if isinstance(value, kind):
            return {kind.__name__: [plain(item) for item in kind.__iter__(value)]}
    raise NotPlain(f"{type(value).__name__} is not plain data")


def unpacked(data: object) -> object:
    """The value that `plain` made; anything else is refused.

    Raises:
        NotPlain: not made by `plain`.
    """
    if isinstance(data, list):
        return [unpacked(item) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise NotPlain("malformed value")
    ((tag, content),) = data.items()
    try:
        return _BUILD[tag](content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotPlain("malformed value") from error


_BUILD: dict[str, Callable[..., object]] = {
    "bytes": lambda text: text.encode("latin-1"),
    "dict": lambda pairs: {unpacked(key): unpacked(item) for key, item in pairs},
    "list": lambda items: [unpacked(item) for item in items],
    "tuple": lambda items: tuple(unpacked(item) for item in items),
    "set": lambda items: {unpacked(item) for item in items},
    "frozenset": lambda items: frozenset(unpacked(item) for item in items),
}


def pack(message: object) -> bytes:
    """One message with its length.

    Raises:
        NotPlain: too long, or nested too deeply.
    """
    try:
        body = json.dumps(message).encode()
    except (RecursionError, ValueError) as error:
        raise NotPlain(f"the value cannot be carried: {error}") from error
    if len(body) > MAX_MESSAGE:
        raise NotPlain("the value is too large")
    return HEAD.pack(len(body)) + body
