"""Text to nodes: tuples (kind, line, ...)."""

from lang.errors import LangError
from lang.lexer import tokens

LEVELS = [["or"], ["and"], ["==", "!=", "<", "<=", ">", ">="], ["+", "-"], ["*", "/", "%"]]


class Parser:
    def __init__(self, text):
        self.tokens, self.at = tokens(text), 0

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
        test, then, other = self.expression(), self.block(), []
        if self.kind == "else":
            self.take()
            other = self.block()
        return ("if", line, test, then, other)

    def do_while(self, line):
        return ("while", line, self.expression(), self.block())

    def do_fn(self, line):
        name = self.take("name")
        self.take("(")
        names = []
        while self.kind != ")":
            names.append(self.take("name"))
            if self.kind == ",":
                self.take()
        self.take(")")
        return ("fn", line, name, names, self.block())

    def do_return(self, line):
        value = ("value", line, None) if self.kind == ";" else self.expression()
        self.take(";")
        return ("return", line, value)

    def do_break(self, line):
        self.take(";")
        return ("break", line)

    def do_continue(self, line):
        self.take(";")
        return ("continue", line)

    def expression(self, level=0):
        if level == len(LEVELS):
            return self.unary()
        left = self.expression(level + 1)
        while self.kind in LEVELS[level]:
            line = self.line
            left = ("binary", line, self.take(), left, self.expression(level + 1))
        return left

    def unary(self):
        if self.kind in ("-", "not"):
            line = self.line
            return ("unary", line, self.take(), self.unary())
        return self.call()

    def call(self):
        value = self.atom()
        while self.kind == "(":
            line, args = self.line, []
            self.take()
            while self.kind != ")":
                args.append(self.expression())
                if self.kind == ",":
                    self.take()
            self.take(")")
            value = ("call", line, value, args)
        return value

    def atom(self):
        line = self.line
        if self.kind in ("true", "false", "null"):
            return ("value", line, {"true": True, "false": False, "null": None}[self.take()])
        if self.kind in ("number", "text"):
            return ("value", line, self.take())
        if self.kind == "name":
            return ("name", line, self.take())
        self.take("(")
        value = self.expression()
        self.take(")")
        return value
