from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable


class UnknownFormat(ValueError):
    """No format has this name or suffix."""


@dataclass(frozen=True)
class Format:
    name: str
    suffixes: tuple
    binary: bool
    render: Callable[..., Any]


_known: dict = {}


def register(name, *, suffixes=(), binary=False):
    """Decorator: the function renders the format of this name."""
    suffixes = tuple(suffix.lower() for suffix in suffixes)

    def enter(render):
        if name in _known:
            raise ValueError(f"format {name} is registered already")
        for other in _known.values():
            if taken := set(suffixes) & set(other.suffixes):
                raise ValueError(f"suffix {taken.pop()} belongs to {other.name}")
        _known[name] = Format(name, suffixes, binary, render)
        return render

    return enter


def get(name):
    if name not in _known:
        raise UnknownFormat(f"unknown format {name}; known are {', '.join(names())}")
    return _known[name]


def for_path(path):
    suffix = Path(path).suffix.lower()
    for known in _known.values():
        if suffix and suffix in known.suffixes:
            return known
    raise UnknownFormat(f"no format for {path}; known are {', '.join(names())}")


def names():
    return sorted(_known)
