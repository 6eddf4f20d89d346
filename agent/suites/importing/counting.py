"""Counts the tests of a Python test file without running it: the number of cases that pytest will report."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from agent.suites.importing.draft import Unsupported

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_HOOKS = frozenset({"pytest_generate_tests", "load_tests", "pytest_collection_modifyitems"})


def parsed(source: bytes | str, where: str) -> ast.Module:
    """The syntax tree of a Python file. Raises Unsupported for a text that Python cannot read."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        raise Unsupported(f"{where} line {error.lineno or 1}: is not valid Python ({error.msg})") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unsupported(f"{where}: is not valid Python") from error


def count_tests(source: bytes, where: str) -> int:
    """How many cases pytest collects from a file.

    Raises:
        Unsupported: the number depends on what the file computes when it runs.
    """
    module = parsed(source, where)
    refuse_hooks(module, where)
    classes = {node.name for node in module.body if isinstance(node, ast.ClassDef)}
    total = _in_body(module.body, where)
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            bases = {_dotted(base) for base in node.bases}
            if bases & classes:
                raise Unsupported(f"{where} line {node.lineno}: tests inherited by class {node.name}")
            if node.name.startswith("Test") or any(base.split(".")[-1] == "TestCase" for base in bases):
                times = math.prod(_decorated(item, where) for item in node.decorator_list)
                total += times * _in_body(node.body, where)
    return total


def _in_body(body: list[ast.stmt], where: str) -> int:
    return sum(_cases(node, where) for node in _last(body) if node.name.startswith("test"))


def _last(body: list[ast.stmt]) -> list[_Function]:
    """Functions of a body; a later one of the same name hides the earlier."""
    found = {node.name: node for node in body if isinstance(node, _Function)}
    return list(found.values())


def refuse_hooks(module: ast.Module, where: str) -> None:
    """Raises Unsupported for whatever makes tests that counting cannot see."""
    top = {*module.body, *(item for node in module.body if isinstance(node, ast.ClassDef) for item in node.body)}
    for node in _statements(module):
        if feature := _hook(node):
            raise Unsupported(f"{where} line {node.lineno}: {feature}")
        if isinstance(node, ast.If | ast.For | ast.Try | ast.With | ast.While) and node in top:
            _refuse_tests_inside(node, where)


def _hook(node: ast.stmt) -> str | None:
    """What a statement does to the collection of tests, if anything."""
    if isinstance(node, _Function):
        calls = [item for item in node.decorator_list if isinstance(item, ast.Call)]
        fixtures = [call for call in calls if _dotted(call.func).split(".")[-1] == "fixture"]
        if any(keyword.arg in {"params", None} for call in fixtures for keyword in call.keywords):
            return "a fixture with params"
        return node.name if node.name in _HOOKS else None
    if isinstance(node, ast.ImportFrom) and any((n.asname or n.name).startswith("test") for n in node.names):
        return "imported tests"
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return "pytestmark" if "pytestmark" in names else None


def _statements(module: ast.Module) -> Iterator[ast.stmt]:
    """Every statement of a file, inner ones too; expressions, the most of it, are not looked into."""
    waiting: list[ast.AST] = [module]
    while waiting:
        node = waiting.pop()
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            for item in getattr(node, name, ()):
                waiting.append(item)
                if isinstance(item, ast.stmt):
                    yield item


def _refuse_tests_inside(block: ast.stmt, where: str) -> None:
    for node in ast.walk(block):
        if isinstance(node, _Function) and node.name.startswith("test"):
            raise Unsupported(f"{where} line {node.lineno}: a test inside if, for, try or with")


def _cases(node: _Function, where: str) -> int:
    """How often one test runs: the product of its parametrize lists."""
    return math.prod(_decorated(item, where) for item in node.decorator_list)


def _decorated(node: ast.expr, where: str) -> int:
    name = _dotted(node.func if isinstance(node, ast.Call) else node)
    last = name.split(".")[-1]
    if last in {"skip", "skipif", "skipIf", "skipUnless", "xfail", "expectedFailure", "repeat", "flaky"}:
        raise Unsupported(f"{where} line {node.lineno}: tests marked @{name}")
    if last in {"expand", "parameterized"}:
        raise Unsupported(f"{where} line {node.lineno}: @{name}")
    if last != "parametrize" or not isinstance(node, ast.Call):
        return 1
    values = (
        node.args[1] if len(node.args) > 1 else next((k.value for k in node.keywords if k.arg == "argvalues"), None)
    )
    if not isinstance(values, ast.List | ast.Tuple) or any(isinstance(item, ast.Starred) for item in values.elts):
        raise Unsupported(f"{where} line {node.lineno}: parametrize with values that are computed")
    return len(values.elts)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
