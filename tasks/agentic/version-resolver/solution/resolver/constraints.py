import operator
import re
from functools import lru_cache

from resolver.versions import FINAL, BadVersion, parse

OPERATORS = {"==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


@lru_cache(maxsize=None)
def compiled(constraint):
    """A list of (test of a parsed version, version that it names or None)."""
    return [part(text.strip()) for text in constraint.split(",")]


def part(text):
    if text == "*":
        return (lambda version: True), None
    match = re.fullmatch(r"(==|!=|<=|>=|<|>|\^|~)(.*)", text, re.DOTALL)
    if not match:
        raise BadVersion(f"{text!r} is no constraint")
    named = parse(match[2])
    if match[1] in OPERATORS:
        compare = OPERATORS[match[1]]
        return (lambda version: compare(version, named)), named
    bound = upper(match[1], named[0])
    return (lambda version: named <= version and version[0] < bound), named


def upper(sign, numbers):
    place = 1 if sign == "~" else next((n for n, number in enumerate(numbers) if number), 2)
    return tuple(number + (n == place) if n <= place else 0 for n, number in enumerate(numbers))


@lru_cache(maxsize=None)
def fits(version, constraint):
    """Whether a version (text) fits a constraint (text)."""
    parsed, parts = parse(version), compiled(constraint)
    if parsed[1] != FINAL and not any(named and named[1] != FINAL and named[0] == parsed[0] for _, named in parts):
        return False
    return all(test(parsed) for test, _ in parts)
