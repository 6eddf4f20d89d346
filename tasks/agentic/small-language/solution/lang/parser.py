"""Text to nodes: tuples (kind, line, ...)."""

from contextlib import contextmanager

from lang.errors import LangError
from lang.lexer import tokens

LEVELS = [["or"], ["and"], ["not"], ["==", "!=", "<", "<=", ">", ">="], ["+", "-"], ["*", "/", "%"]]
NOT, COMPARE = 2, 3
DEEPEST = 100


class Parser:
    def __init__(self, text):
        self.tokens, self.at = tokens(text), 0
        self.depth, self.loops, self.functions = 0, 0, 0

    @contextmanager
    def deeper(self):
        self.depth += 1
        if self.depth > DEEPEST:
            raise LangError("nested too deep", self.line)
        yield
        self.depth -= 1

    @property
    def kind(self):
        return self.tokens[self.at][0]

    @property
    def line(self):
        return self.tokens[self.at][2]

    def take(self, *kinds):
        if kinds and self.kind not in kinds:
            raise LangError(f"expected {' or '.join(kinds)}, not {self.kind}", self.line)
        self.at += 1
        return self.tokens[self.at - 1][1]

    def program(self):
        found = []
        while self.kind != "end":
            found.append(self.statement())
        return found

    def block(self):
        with self.deeper():
            self.take("{")
            found = []
            while self.kind != "}":
                found.append(self.statement())
            self.take("}")
            return found

    def statement(self):
        kind, line = self.kind, self.line
        if kind in ("let", "print", "if", "while", "fn", "return", "break", "continue"):
            self.take()
            return getattr(self, "do_" + kind)(line)
        value = self.expression()
        if self.kind == "=":
            if value[0] != "name" or self.tokens[self.at - 1][0] != "name":
                raise LangError("only a name can be set", self.line)
            self.take()
            node = ("set", line, value[2], self.expression())
        else:
            node = ("do", line, value)
        self.take(";")
        return node

    def do_let(self, line):
        name = self.take("name")
        self.take("=")
        node = ("let", line, name, self.expression())
        self.take(";")
        return node

    def do_print(self, line):
        values = [self.expression()]
        while self.kind == ",":
            self.take()
            values.append(self.expression())
        self.take(";")
        return ("print", line, values)

    def do_if(self, line):
        first = last = ["if", line, self.expression(), self.block(), []]
        while self.kind == "else":
            self.take()
            if self.kind != "if":
                last[4] = self.block()
                break
            inner = self.line
            self.take()
            following = ["if", inner, self.expression(), self.block(), []]
            last[4] = [following]
            last = following
        return first

    def do_while(self, line):
        test = self.expression()
        self.loops += 1
        body = self.block()
        self.loops -= 1
        return ("while", line, test, body)

    def do_fn(self, line):
        name = self.take("name")
        self.take("(")
        names = self.listed(lambda: self.take("name"))
        if len(set(names)) < len(names):
            raise LangError("a parameter comes twice", line)
        loops, self.loops = self.loops, 0
        self.functions += 1
        body = self.block()
        self.functions -= 1
        self.loops = loops
        return ("fn", line, name, names, body)

    def listed(self, item):
        """Items up to the closing bracket."""
        found = []
        while self.kind != ")":
            if found:
                self.take(",")
            found.append(item())
        self.take(")")
        return found

    def do_return(self, line):
        if not self.functions:
            raise LangError("return outside a function", line)
        value = ("value", line, None) if self.kind == ";" else self.expression()
        self.take(";")
        return ("return", line, value)

    def in_loop(self, line):
        if not self.loops:
            raise LangError("no loop here", line)

    def do_break(self, line):
        self.in_loop(line)
        self.take(";")
        return ("break", line)

    def do_continue(self, line):
        self.in_loop(line)
        self.take(";")
        return ("continue", line)

    def expression(self, level=0):
        if level == len(LEVELS):
            return self.unary()
        if level == NOT:
            if self.kind == "not":
                line = self.line
                with self.deeper():
                    return ("unary", line, self.take(), self.expression(NOT))
            return self.expression(level + 1)
        left = self.expression(level + 1)
        while self.kind in LEVELS[level]:
            line = self.line
            left = ("binary", line, self.take(), left, self.expression(level + 1))
            if level == COMPARE and self.kind in LEVELS[level]:
                raise LangError("comparisons do not chain", self.line)
        return left

    def unary(self):
        if self.kind == "-":
            line = self.line
            with self.deeper():
                return ("unary", line, self.take(), self.unary())
        return self.call()

    def call(self):
        value = self.atom()
        while self.kind == "(":
            line = self.line
            with self.deeper():
                self.take()
                value = ("call", line, value, self.listed(self.expression))
        return value

    def atom(self):
        line = self.line
        if self.kind in ("true", "false", "null"):
            return ("value", line, {"true": True, "false": False, "null": None}[self.take()])
        if self.kind in ("number", "text"):
            return ("value", line, self.take())
        if self.kind == "name":
            return ("name", line, self.take())
        with self.deeper():
            self.take("(")
            value = self.expression()
            self.take(")")
            return value
