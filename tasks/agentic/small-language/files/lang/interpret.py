from lang.errors import LangError
from lang.parser import Parser
from lang.scope import Scope


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
    return f"fn {value.name}" if isinstance(value, Function) else str(value)


class Interpreter:
    def __init__(self):
        self.out = []

    def block(self, nodes, scope):
        for node in nodes:
            getattr(self, "do_" + node[0])(node, scope)

    def do_let(self, node, scope):
        scope.declare(node[2], self.value(node[3], scope), node[1])

    def do_set(self, node, scope):
        scope.find(node[2], node[1]).names[node[2]] = self.value(node[3], scope)

    def do_print(self, node, scope):
        self.out.append(" ".join(show(self.value(v, scope)) for v in node[2]))

    def do_do(self, node, scope):
        self.value(node[2], scope)

    def do_if(self, node, scope):
        self.block(node[3] if self.value(node[2], scope) else node[4], scope)

    def do_while(self, node, scope):
        inner = Scope(scope)
        while self.value(node[2], scope):
            try:
                self.block(node[3], inner)
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
            return -value if node[2] == "-" else not value
        if kind == "call":
            function = self.value(node[2], scope)
            inner = Scope(scope)
            for name, arg in zip(function.names, node[3]):
                inner.declare(name, self.value(arg, scope), line)
            try:
                self.block(function.body, inner)
            except Return as result:
                return result.args[0]
            return None
        return self.binary(node[2], self.value(node[3], scope), self.value(node[4], scope), line)

    def binary(self, sign, a, b, line):
        if sign == "or":
            return a or b
        if sign == "and":
            return a and b
        try:
            return {
                "==": lambda: a == b, "!=": lambda: a != b, "<": lambda: a < b, "<=": lambda: a <= b, ">": lambda: a > b, ">=": lambda: a >= b,
                "+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "/": lambda: a // b, "%": lambda: a % b,
            }[sign]()
        except TypeError as error:
            raise LangError(str(error), line) from error


def run(text):
    interpreter = Interpreter()
    interpreter.block(Parser(text).program(), Scope())
    return interpreter.out
