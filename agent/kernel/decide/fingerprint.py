"""A hash that is equal for trees which read the same."""

from __future__ import annotations

import ast
import hashlib
import warnings

from agent.base.types import Files


def fingerprint(files: Files) -> str:
    """A hash that is equal for trees that differ only in comments and layout of Python files.

    Docstrings count: a program can read them. Python that does not parse is taken byte by byte.
    """
    digest = hashlib.sha256()
    for path in sorted(files):
        content = _essence(files[path]) if path.endswith(".py") else files[path]
        for part in (path.encode(), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _essence(source: bytes) -> bytes:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return b"\0" + ast.dump(ast.parse(source)).encode("utf-8", "surrogatepass")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
