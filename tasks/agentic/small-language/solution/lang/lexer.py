import re

from lang.errors import LangError

WORDS = {"let", "print", "if", "else", "while", "break", "continue", "fn", "return", "and", "or", "not", "true", "false", "null"}
TOKEN = re.compile(
    r'(?P<skip>\s+|#[^\n]*)|(?P<number>[0-9]+(?!\w))|(?P<name>[^\W\d]\w*)|(?P<text>"(?:[^"\\\n]|\\[^\n])*")|(?P<sign>[=!<>]=|[-+*/%<>=(){},;])'
)
ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}
MOST_DIGITS = 100_000


def plain(text, line):
    """A text without its quotes and backslashes."""

    def escape(match):
        if match[0] not in ESCAPES:
            raise LangError(f"unknown {match[0]}", line)
        return ESCAPES[match[0]]

    return re.sub(r"\\.", escape, text[1:-1])


def number(digits, line):
    if len(digits.lstrip("0")) > MOST_DIGITS:
        raise LangError("the number is too long", line)
    value = 0
    for start in range(0, len(digits), 4000):
        part = digits[start : start + 4000]
        value = value * 10 ** len(part) + int(part)
    return value


def tokens(text):
    """(kind, value, line); words and signs are their own kind."""
    found, at, line = [], 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise LangError(f"unexpected {text[at]!r}", line)
        kind, value = match.lastgroup, match[0]
        if kind == "number":
            found.append(("number", number(value, line), line))
        elif kind == "text":
            found.append(("text", plain(value, line), line))
        elif kind == "name":
            found.append((value if value in WORDS else "name", value, line))
        elif kind == "sign":
            found.append((value, value, line))
        at = match.end()
        line += value.count("\n")
    return [*found, ("end", "", line)]
