"""How code is taken out of a reply."""

from __future__ import annotations

import re

# The closing fence may be missing: a stop sequence or the token limit cut it off.
BLOCK = re.compile(r"^[ \t]*```[^\n`]*\n(?P<code>.*?)(?:^[ \t]*```|\Z)", re.MULTILINE | re.DOTALL)


def extract(reply: str, how: str) -> str:
    """The code of a reply, by one of the ways that EXTRACT names."""
    if how == "raw":
        return reply
    block = BLOCK.search(reply)
    code = block["code"] if block else reply
    return longest_prefix(code) if how == "compile" else code


def compiles(code: str, name: str) -> bool:
    """Whether code is worth handing in: not blank, and valid Python if it is Python."""
    if not code.strip():
        return False
    if not name.endswith(".py"):
        return True
    try:
        compile(code, name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def longest_prefix(code: str) -> str:
    """Lines dropped from the end until the rest compiles; the code as it is if nothing does."""
    lines = code.splitlines(keepends=True)
    prefixes = ("".join(lines[:count]) for count in range(len(lines), 0, -1))
    return next((prefix for prefix in prefixes if compiles(prefix, "prefix.py")), code)
