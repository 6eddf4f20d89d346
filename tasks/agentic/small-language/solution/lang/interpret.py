import sys

from lang.errors import LangError
from lang.parser import Parser
from lang.scope import Scope

MOST_CALLS, MOST_STATEMENTS, MOST_CHARACTERS = 200, 100_000, 100_000
TOO_BIG = 10**MOST_CHARACTERS
FRAMES = 100_000


class Function:
    def __init__(self, name, names, body, scope):
        self.name, self.names, self.body, self.scope = name, names, body, scope


class Return(Exception):
    pass


class Break(Exception):
    pass


class Continue(Exception):
    pass


def show(value):
    if isinstance(value, Function):
        return f"fn {value.name}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return decimal(value) if isinstance(value, int) else value


def decimal(number):
    """str() without Python's limit on digits."""
    sign, number, parts = "-" if number < 0 else "", abs(number), []
    while number >= 10**4000:
        number, rest = divmod(number, 10**4000)
        parts.append(f"{rest:04000}")
    return sign + str(number) + "".join(reversed(parts))


def is_number(value):
    return isinstance(value, int) and not isinstance(value, bool)


class Interpreter:
    def __init__(self):
        self.out, self.calls, self.statements = [], 0, 0

    def block(self, nodes, scope):
        for node in nodes:
            self.statements += 1
            if self.statements > MOST_STATEMENTS:
                raise LangError("too long", node[1])
            getattr(self, "do_" + node[0])(node, scope)

    def do_let(self, node, scope):
        scope.declare(node[2], self.value(node[3], scope), node[1])

    def do_set(self, node, scope):
        value = self.value(node[3], scope)
        scope.find(node[2], node[1]).names[node[2]] = value

    def do_print(self, node, scope):
        self.out.append(" ".join([show(self.value(v, scope)) for v in node[2]]))

    def do_do(self, node, scope):
        self.value(node[2], scope)

    def do_if(self, node, scope):
        while True:
            if self.value(node[2], scope):
                return self.block(node[3], Scope(scope))
            if len(node[4]) != 1 or not isinstance(node[4][0], list):
                return self.block(node[4], Scope(scope))
            node = node[4][0]

    def do_while(self, node, scope):
        while self.value(node[2], scope):
            self.statements += 1
            if self.statements > MOST_STATEMENTS:
                raise LangError("too long", node[1])
            try:
                self.block(node[3], Scope(scope))
            except Break:
                break
            except Continue:
                continue

    def do_fn(self, node, scope):
        scope.declare(node[2], Function(node[2], node[3], node[4], scope), node[1])

    def do_return(self, node, scope):
        raise Return(self.value(node[2], scope))

    def do_break(self, node, scope):
        raise Break

    def do_continue(self, node, scope):
        raise Continue

    def value(self, node, scope):
        kind, line = node[:2]
        if kind == "value":
            return node[2]
        if kind == "name":
            return scope.find(node[2], line).names[node[2]]
        if kind == "unary":
            value = self.value(node[3], scope)
            if node[2] == "not":
                return not value
            if not is_number(value):
                raise LangError("- wants a number", line)
            return -value
        if kind == "call":
            return self.call(node, scope)
        # A long chain of operators grows to the left; it is not walked by recursion.
        chain = []
        while node[0] == "binary":
            chain.append(node)
            node = node[3]
        value = self.value(node, scope)
        for _, line, sign, _, right in reversed(chain):
            if sign in ("or", "and"):
                if bool(value) == (sign == "and"):
                    value = self.value(right, scope)
            else:
                value = self.binary(sign, value, self.value(right, scope), line)
        return value

    def call(self, node, scope):
        line, function = node[1], self.value(node[2], scope)
        args = [self.value(arg, scope) for arg in node[3]]
        if not isinstance(function, Function):
            raise LangError("this is no function", line)
        if len(args) != len(function.names):
            raise LangError(f"{function.name} wants {len(function.names)} arguments", line)
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise LangError("too deep", line)
        inner = Scope(function.scope)
        inner.names.update(zip(function.names, args))
        try:
            self.block(function.body, inner)
        except Return as result:
            return result.args[0]
        finally:
            self.calls -= 1
        return None

    def binary(self, sign, a, b, line):
        if sign in ("==", "!="):
            return (type(a) is type(b) and a == b) == (sign == "==")
        numbers, texts = is_number(a) and is_number(b), isinstance(a, str) and isinstance(b, str)
        if sign in ("<", "<=", ">", ">=") and (numbers or texts):
            return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]
        if sign == "+" and texts:
            return self.bounded(a + b, line)
        if sign == "*" and isinstance(a, str) and is_number(b):
            if len(a) * max(b, 0) > MOST_CHARACTERS:
                raise LangError("the text is too long", line)
            return a * b
        if not numbers or sign in ("<", "<=", ">", ">="):
            raise LangError(f"{sign} does not go with these values", line)
        if sign in ("/", "%"):
            if not b:
                raise LangError("division by zero", line)
            quotient = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
            return quotient if sign == "/" else a - quotient * b
        return self.bounded({"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b}[sign](), line)

    def bounded(self, value, line):
        if isinstance(value, int) and abs(value) >= TOO_BIG:
            raise LangError("the number is too long", line)
        return value


def run(text):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, FRAMES))
    try:
        interpreter = Interpreter()
        interpreter.block(Parser(text).program(), Scope())
    finally:
        sys.setrecursionlimit(limit)
    return interpreter.out
