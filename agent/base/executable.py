"""The one mode that files have besides their content."""

from __future__ import annotations


class Executable(bytes):
    """Content of a file that may be executed; equal to the same content that may not be."""

    __slots__ = ()
