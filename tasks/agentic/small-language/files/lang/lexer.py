import re

from lang.errors import LangError

WORDS = {"let", "print", "if", "else", "while", "break", "continue", "fn", "return", "and", "or", "not", "true", "false", "null"}
TOKEN = re.compile(r'(?P<skip>\s+|#.*)|(?P<number>\d+)|(?P<name>\w+)|(?P<text>"[^"]*")|(?P<sign>[=!<>]=|[-+*/%<>=(){},;])')


def tokens(text):
    """(kind, value, line); words and signs are their own kind."""
    found, at, line = [], 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise LangError(f"unexpected {text[at]!r}", line)
        kind, value = match.lastgroup, match[0]
        if kind == "number":
            found.append(("number", int(value), line))
        elif kind == "text":
            found.append(("text", value[1:-1].replace("\\n", "\n"), line))
        elif kind == "name":
            found.append((value if value in WORDS else "name", value, line))
        elif kind == "sign":
            found.append((value, value, line))
        at = match.end()
        line += value.count("\n")
    return [*found, ("end", "", line)]
