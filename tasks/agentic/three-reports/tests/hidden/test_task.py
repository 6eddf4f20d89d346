import ast
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from ratchet_check import RemoteError, remote

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
DRIVER = '''
import importlib

def report(name, rows): return importlib.import_module("reports." + name).report(rows)
'''
Path("/tmp/driver.py").write_text(DRIVER)
report = remote("/tmp/driver.py", "report")
COLUMNS = {"sales": ("region", "amount"), "stock": ("shelf", "pieces"), "staff": ("team", "hours")}
HEADS = {"sales": ("Region", "Count", "Amount"), "stock": ("Shelf", "Lines", "Pieces"), "staff": ("Team", "People", "Hours")}


def old(kind, rows):
    """What the old programs print."""
    groups = {}
    for name, value in rows:
        name = (name.strip().title() if kind == "staff" else name.strip()) or "(none)"
        value = (int if kind == "stock" else float)(value or 0)
        if kind != "stock" or value >= 0:
            groups.setdefault(name, []).append(value)
    head = HEADS[kind]
    width = max([len(n) for n in groups] + [len(head[0])])

    def line(name, count, value):
        return f"{name:<{width}}  {count!s:>8}  {value:>10}"

    def value(total, count):
        return f"{total:,.2f}" if kind == "sales" else str(total) if kind == "stock" else f"{total / count:.1f}"

    rule = ("=" if kind == "stock" else "-") * (width + 22)
    sign = 1 if kind == "staff" else -1
    out = [kind.title().center(width + 22).rstrip(), "", line(*head), rule]
    out += [line(n, len(groups[n]), value(sum(groups[n]), len(groups[n]))) for n in sorted(groups, key=lambda n: (sign * sum(groups[n]), n))]
    out.append(rule)
    total, count = sum(sum(v) for v in groups.values()), sum(len(v) for v in groups.values())
    if count or kind != "staff":
        out.append(line("Mean" if kind == "staff" else "Total", count, value(total, count)))
    return "\n".join(out) + "\n"


def same(kind, rows):
    got = report(kind, [dict(zip(COLUMNS[kind], row)) for row in rows])
    assert got == old(kind, rows), (kind, rows, got)


def test_nothing():
    for kind in COLUMNS:
        same(kind, [])


def test_simple_rows():
    for kind in COLUMNS:
        same(kind, [("north", "3"), ("south", "10"), ("north", "4")])


def test_names():
    for kind in COLUMNS:
        same(kind, [("", "1"), ("  ", "2"), (" a ", "3"), ("A", "4"), ("a very long name indeed", "5"), ("o'neil-x", "1"), ("(none)", "9")])


def test_empty_and_negative_values():
    for kind in COLUMNS:
        same(kind, [("a", ""), ("b", "-5"), ("c", "2"), ("c", "-3"), ("d", "0")])


def test_large_values_and_fractions():
    same("sales", [("a", "1234567.891"), ("b", "1e9"), ("c", "0.005")])
    same("staff", [("a", "0.05"), ("a", "0.1"), ("b", "12345678901234")])
    same("stock", [("a", "123456789012345678901234567890"), ("b", "007")])


def test_only_rows_that_are_left_out():
    same("stock", [("a", "-1"), ("b", "-2")])


def test_random_rows():
    rng = random.Random(2)
    for kind in COLUMNS:
        for _ in range(25):
            same(kind, [(rng.choice(["", "x", "y y", " z", "Ann", "ann"]), str(rng.randint(-3, 20))) for _ in range(rng.randint(1, 12))])


def test_errors_stay():
    for kind, value in (("sales", "x"), ("stock", "1.5"), ("staff", "1,5")):
        try:
            report(kind, [dict(zip(COLUMNS[kind], ("a", value)))])
        except RemoteError as error:
            assert error.type == "ValueError"
        else:
            raise AssertionError(kind)


def test_the_programs():
    file = Path(tempfile.mkdtemp()) / "f.csv"

    def run(kind, *args):
        return subprocess.run([sys.executable, "-m", f"reports.{kind}", *args], capture_output=True, text=True, timeout=60, env=ENV)

    for kind, (name, value) in COLUMNS.items():
        file.write_text(f'{name},{value}\n"a, b",1\nü,2\n')
        done = run(kind, str(file))
        assert (done.returncode, done.stdout) == (0, old(kind, [("a, b", "1"), ("ü", "2")])), done.stderr
        for args in ([], ["a", "b"]):
            done = run(kind, *args)
            assert (done.returncode, done.stdout, done.stderr) == (2, "", f"usage: {kind} FILE\n")
        file.write_text(f"\ufeff{name},{value}\na,1\n")
        assert (run(kind, str(file)).returncode == 0) == (kind == "stock")


def lines(path):
    """Numbers of lines that count."""
    tree, text = ast.parse(path.read_text()), path.read_text().splitlines()
    skip = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            skip |= set(range(node.lineno, node.end_lineno + 1))
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False) is not None:
            skip |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len([n for n, line in enumerate(text, 1) if n not in skip and line.strip() and not line.strip().startswith("#")])


class Plain(ast.NodeTransformer):
    """Names and constants made equal."""

    def visit_Name(self, node):
        return ast.Name("n", node.ctx)

    def visit_Constant(self, node):
        return ast.Constant(0)

    def visit_arg(self, node):
        return ast.arg("n")


def test_the_copies_are_gone():
    seen, bodies, total = [], [], 0
    for path in sorted(Path("reports").rglob("*.py")):
        if path.stem in COLUMNS:
            assert lines(path) <= 15, path
        total += lines(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                seen.append(node.name)
            if isinstance(node, ast.FunctionDef):
                bodies.append("\n".join(ast.dump(Plain().visit(child)) for child in node.body))
    per_module = [name for name in seen if not name.startswith("__")]
    assert len(per_module) == len(set(per_module)), per_module
    assert len(bodies) == len(set(bodies)) and total <= 80 and Path("reports/common.py").is_file()
