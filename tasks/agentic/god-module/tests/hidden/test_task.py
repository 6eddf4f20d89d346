import ast
import subprocess
import sys
from pathlib import Path

from ratchet_check import remote

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
DRIVER = '''
from decimal import Decimal
import importlib
import payroll

NAMES = ("BRACKETS CHILD_ALLOWANCE CLASS_FACTOR OVERTIME ROUNDING Employee Payslip gross main net payslip render_csv "
         "render_text run tax tax_class").split()

def names():
    return [name for name in NAMES if not hasattr(payroll, name)]

def homes():
    return {name: getattr(payroll, name).__module__ for name in NAMES if callable(getattr(payroll, name))}

def people():
    return [payroll.Employee("Zoe", Decimal("25.503"), Decimal(170)), payroll.Employee("Ann", Decimal("18.257"), Decimal("160"), 2),
            payroll.Employee("Bob", Decimal(12), Decimal(80), 0, True)]

def figures(rounding=None, brackets=None, late=True):
    old, saved = payroll.ROUNDING, list(payroll.BRACKETS)
    try:
        if rounding: payroll.ROUNDING = Decimal(rounding)
        if brackets: payroll.BRACKETS[:] = [(Decimal(h) if h else None, Decimal(s)) for h, s in brackets]
        return [[str(s.gross), str(s.tax), str(s.net), s.notes] for s in payroll.run(people())]
    finally:
        payroll.ROUNDING = old
        payroll.BRACKETS[:] = saved

def independent():
    a, b = payroll.payslip(people()[0]), payroll.payslip(people()[0])
    a.notes.append("x")
    return b.notes
'''
Path("/tmp/driver.py").write_text(DRIVER)
names, homes, figures, independent = (remote("/tmp/driver.py", n) for n in ("names", "homes", "figures", "independent"))
WHERE = {
    "rates": {"tax_class"}, "model": {"Employee", "Payslip"}, "calc": {"gross", "tax", "net", "payslip", "run"},
    "render": {"render_text", "render_csv"}, "cli": {"main"},
}


def trees():
    return {path.stem: ast.parse(path.read_text()) for path in Path("payroll").glob("*.py")}


def imported(tree):
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ("payroll" + ("." + node.module if node.module else "")) if node.level else node.module
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def test_every_public_name_is_still_there():
    assert names() == []


def test_each_thing_lives_where_it_should():
    assert homes() == {name: f"payroll.{module}" for module, all_ in WHERE.items() for name in all_}


def test_each_thing_is_defined_once():
    seen = [n.name for t in trees().values() for n in ast.walk(t) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    public = [name for name in seen if not name.startswith("_")]
    assert set(public) >= set().union(*WHERE.values()) and len(public) == len(set(public))
    tables = [t.id for tree in trees().values() for n in ast.walk(tree) if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)]
    assert all(tables.count(name) == 1 for name in ("ROUNDING", "BRACKETS", "CLASS_FACTOR", "OVERTIME", "CHILD_ALLOWANCE"))


def test_imports_have_no_cycles():
    modules = {name: {m.split(".")[1] for m in imported(tree) if m.startswith("payroll.")} for name, tree in trees().items() if name in WHERE}
    assert not modules["rates"] and not modules["model"] & {"calc", "render", "cli"}
    assert not modules["calc"] & {"render", "cli"} and not modules["render"] & {"cli"}


def test_the_inner_modules_do_no_io():
    for name in ("rates", "model", "calc"):
        tree = trees()[name]
        assert not imported(tree) & {"sys", "io", "csv", "os", "pathlib"}
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in {"print", "open"}]


def test_functions_are_short():
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 25, (name, node.name)


PLAIN = [
    ["2921.12", "259.38", "2661.74", []],
    ["960.00", "0.00", "960.00", ["no tax"]],
    ["4463.03", "985.21", "3477.82", ["10 hours of overtime"]],
]


def test_figures():
    assert figures() == PLAIN


def test_rounding_can_be_set_at_run_time_and_back():
    whole = figures("1")
    assert [row[:3] for row in whole] == [["2921", "259", "2662"], ["960", "0", "960"], ["4463", "985", "3478"]]
    assert figures() == PLAIN


def test_brackets_can_be_changed_in_place():
    assert [row[1] for row in figures(None, [(None, "0.1")])] == ["209.69", "48.00", "446.30"]
    assert figures() == PLAIN


def test_slips_share_no_notes():
    assert independent() == ["10 hours of overtime"]


def run(*args):
    return subprocess.run([sys.executable, "-m", "payroll", *args], capture_output=True, text=True, timeout=60, env=ENV)


def test_the_program_prints_the_same():
    done = run("people.csv")
    assert done.stdout == (
        "Ann              2920.00      259.20     2660.80\n"
        "Bob               960.00        0.00      960.00\n  * no tax\n"
        "Zoe              4462.50      985.00     3477.50\n  * 10 hours of overtime\n"
        "total                                    7098.30\n"
    )
    assert (done.returncode, done.stderr) == (0, "skipped: Eve\n")


def test_the_other_ways_to_call_it():
    assert run("people.csv", "--csv").stdout == "name,gross,tax,net\nAnn,2920.00,259.20,2660.80\nBob,960.00,0.00,960.00\nZoe,4462.50,985.00,3477.50\n"
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "usage: payroll FILE [--csv]\n")
    code = "import sys, payroll; sys.argv = ['x']; sys.exit(payroll.main(['people.csv', '--csv']))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV, timeout=60).stdout.startswith("name,")
