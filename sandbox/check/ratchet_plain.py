"""The plain data that crosses between the checker and the submission, and how one message is framed.

A copy lies beside `ratchet_check` in every image. Standard library only.
"""

# ruff: noqa: INP001 - lies in a folder of packages in the image

from __future__ import annotations

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
        body = _dumped(message).encode()
    except (RecursionError, ValueError) as error:
        raise NotPlain(f"the value cannot be carried: {error}") from error
    if len(body) > MAX_MESSAGE:
        raise NotPlain("the value is too large")
    return HEAD.pack(len(body)) + body


def unpack(body: bytes) -> object:
    """What a message holds.

    Raises:
        ValueError, RecursionError: no other process of ours packed it.
    """
    if _scan is not None:
        try:
            found, end = _scan(text := body.decode(), 0)
        except Exception:  # noqa: BLE001, S110 - `json` will say what is wrong
            pass
        else:
            if end == len(text):
                return found
    import json  # noqa: PLC0415 - see _quick

    return json.loads(body)


def _by_json(message: object) -> str:
    import json  # noqa: PLC0415 - see _quick

    return json.dumps(message)


class _Plain:
    """What `json.JSONDecoder` tells its scanner, by default."""

    strict, object_hook, object_pairs_hook, parse_float, parse_int = True, None, None, float, int
    parse_constant = {"-Infinity": float("-inf"), "Infinity": float("inf"), "NaN": float("nan")}.__getitem__


def _quick() -> tuple[Callable[[object], str], Callable[[str, int], tuple[object, int]] | None]:
    """What `json` does its work by, without `re` and `enum`, which it loads and which take as long as Python itself."""
    try:
        from _json import encode_basestring_ascii, make_encoder, make_scanner  # noqa: PLC0415 - a Python may lack them

        scan = make_scanner(_Plain)
        encode = make_encoder(None, _refused, encode_basestring_ascii, None, ": ", ", ", False, False, True)
        dumped = lambda message: "".join(encode(message, 0))  # noqa: E731
        if scan(dumped([1.5, "a", None]), 0) == ([1.5, "a", None], 16):
            return dumped, scan
    except Exception:  # noqa: BLE001, S110 - they are not for others, and may change
        pass
    return _by_json, None


def _refused(value: object) -> object:
    raise NotPlain(f"{type(value).__name__} is not plain data")


_dumped, _scan = _quick()
