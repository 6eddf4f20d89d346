"""The process of the submission: answers the calls of `ratchet_check` until that closes the pipe.

A copy lies beside `ratchet_check` in every image. It has to start fast, and holds nothing that a candidate may not see.
Standard library only.
"""

# It runs code on purpose, and takes whatever that raises:
# ruff: noqa: BLE001, INP001, PTH109, PTH119, PTH122, PTH123, S102

from __future__ import annotations

import os
import sys

from ratchet_plain import ANSWERS, CALLS, HEAD, pack, plain, unpack, unpacked

_MISSING = object()


class MissingFunction(LookupError):
    """The submission has no such function; a name of its own, so that no test expects it by accident."""


def serve() -> None:
    """Answer calls."""
    sys.path.insert(0, os.getcwd())
    modules: dict[str, dict[str, object]] = {}
    while True:
        (size,) = HEAD.unpack(_read(HEAD.size))
        number, *call = unpack(_read(size))  # type: ignore[misc]
        try:
            reply = pack([number, "ok", _answer(modules, *call)])
        except BaseException as error:
            reply = pack([number, "error", type(error).__name__, str(error)[:2000]])
        view = memoryview(reply)
        while view:
            view = view[os.write(ANSWERS, view) :]


def _read(count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = os.read(CALLS, count - len(data))
        if not more:
            os._exit(0)
        data += more
    return data


def _answer(modules: dict[str, dict[str, object]], file: str, name: str, args: object, kwargs: object) -> object:
    if file not in modules:
        modules[file] = _module(file)
    first, *rest = name.split(".")
    target = modules[file].get(first, _MISSING)
    for part in rest:
        target = getattr(target, part, _MISSING)
    if target is _MISSING:
        raise MissingFunction(f"{file} has no {name}")
    return plain(target(*unpacked(args), **unpacked(kwargs)))  # type: ignore[operator,misc]


def _module(file: str) -> dict[str, object]:
    with open(file, "rb") as source:
        code = compile(source.read(), file, "exec", dont_inherit=True)
    module = type(sys)(name := os.path.splitext(os.path.basename(file))[0])
    module.__file__ = file
    sys.modules[name] = module
    exec(code, module.__dict__)
    return module.__dict__
