import ast
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ratchet_check import RemoteError, remote

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
DRIVER = '''
import export
from export import registry

def convert(*args, **options): return export.convert(*args, **options)
def names(): return registry.names()
def known(name):
    f = registry.get(name)
    return [f.name, sorted(f.suffixes), f.binary, callable(f.render)]
def for_path(path): return registry.for_path(path).name
def unknown(how):
    try: {"get": lambda: registry.get("nope"), "path": lambda: registry.for_path("a.nope"), "convert": lambda: export.convert([], "nope")}[how]()
    except registry.UnknownFormat as error: return isinstance(error, ValueError) and all(n in str(error) for n in registry.names())
def again():
    said = []
    for name, suffixes in (("csv", [".new1"]), ("new2", [".CSV"]), ("new3", [".new3"])):
        try:
            made = registry.register(name, suffixes=suffixes)(lambda rows, **o: "made " + str(len(rows)))
            said.append(made([]))
        except ValueError: said.append("refused")
    return said, registry.names(), export.convert([{}], "new3"), export.convert([{"a": 1}], "csv")
'''
Path("/tmp/driver.py").write_text(DRIVER)
convert, names, known, for_path, unknown, again = (remote("/tmp/driver.py", n) for n in "convert names known for_path unknown again".split())
ROWS = json.loads(Path("rows.json").read_text())
CSV = 'id,name,note\n1,"Ann, A.",\n2,<b>,"x""y"\n'
HTML = '<table>\n<tr><th>id</th><th>name</th><th>note</th></tr>\n<tr><td>1</td><td>Ann, A.</td><td></td></tr>\n<tr><td>2</td><td>&lt;b&gt;</td><td>x&quot;y</td></tr>\n</table>\n'


def test_csv():
    assert convert(ROWS, "csv") == CSV and convert(ROWS, "csv", delimiter=";").startswith("id;name;note\n1;Ann, A.;")
    assert convert([], "csv") == ""


def test_json():
    assert convert(ROWS, "json") == json.dumps(ROWS, indent=2) + "\n" and convert([], "json", lines=True) == ""
    assert convert(ROWS, "json", lines=True) == "".join(json.dumps(r) + "\n" for r in ROWS)
    assert convert(ROWS, "json", indent=None) == json.dumps(ROWS) + "\n"


def test_html():
    assert convert(ROWS, "html") == HTML and convert([], "html") == "<table>\n</table>\n"
    assert convert([], "html", caption="a&b") == "<table>\n<caption>a&amp;b</caption>\n</table>\n"


def test_gzip_and_what_is_in_it():
    assert convert(ROWS, "gzip") == gzip.compress((json.dumps(ROWS, indent=2) + "\n").encode(), mtime=0)
    assert gzip.decompress(convert(ROWS, "gzip", inner="csv", delimiter="|")).startswith(b"id|name")
    for inner in ("gzip", "nope"):
        try:
            convert(ROWS, "gzip", inner=inner)
        except RemoteError as error:
            assert error.type in {"ValueError", "UnknownFormat"}
        else:
            raise AssertionError(inner)


def test_options_of_other_formats_are_ignored():
    assert convert(ROWS, "csv", lines=True, caption="x") == CSV and convert(ROWS, "html", delimiter=";", lines=True) == HTML


def test_the_registry():
    assert names() == ["csv", "gzip", "html", "json"]
    assert known("csv") == ["csv", [".csv"], False, True] and known("gzip") == ["gzip", [".gz"], True, True]
    assert [for_path(p) for p in ("a.csv", "x/y.JSON", "a.b.html", "a.json.gz")] == ["csv", "json", "html", "gzip"]


def test_the_unknown():
    assert unknown("get") and unknown("path") and unknown("convert")
    for path in ("", "csv", "a"):
        try:
            for_path(path)
        except RemoteError as error:
            assert error.type == "UnknownFormat"
        else:
            raise AssertionError(path)


def test_second_registrations_change_nothing():
    assert again() == (["refused", "refused", "made 0"], ["csv", "gzip", "html", "json", "new3"], "made 1", "a\n1\n")


def run(*args, cwd="."):
    done = subprocess.run([sys.executable, "-m", "export", *args], capture_output=True, text=True, timeout=60, env=ENV, cwd=cwd)
    return done.returncode, done.stdout, done.stderr


def test_the_command():
    top = Path(tempfile.mkdtemp())
    for args, name, data in (
        (["--format", "csv"], "a", CSV), ([], "a.csv", CSV), (["--delimiter", ";"], "b.CSV", CSV.replace(",", ";").replace('"Ann; A."', "Ann, A.")),
        (["--caption", "c"], "a.htm", HTML.replace("<table>\n", "<table>\n<caption>c</caption>\n")), (["--format", "html"], "b.json", HTML),
        (["--lines"], "c.json", "".join(json.dumps(r) + "\n" for r in ROWS)),
    ):
        if name.endswith(".htm"):
            name += "l"
        assert run("rows.json", str(top / name), *args) == (0, "", ""), name
        assert (top / name).read_text() == data, name
    assert run("rows.json", str(top / "x.gz"), "--lines")[0] == 0
    assert gzip.decompress((top / "x.gz").read_bytes()).count(b"\n") == 2


def test_errors_of_the_command():
    top = Path(tempfile.mkdtemp())
    for args in (["rows.json", str(top / "a.nope")], ["rows.json", str(top / "a"), "--format", "nope"], ["none.json", str(top / "a.csv")], ["rows.json", str(top / "a")]):
        code, out, err = run(*args)
        assert (code, out, len(err.splitlines())) == (2, "", 1) and err.startswith("export: "), args
    assert os.listdir(top) == []


def test_a_new_file_is_a_new_format():
    top = Path(tempfile.mkdtemp())
    shutil.copytree("export", top / "export")
    (top / "export" / "formats" / "shout.py").write_text(
        "from export.registry import register\n@register('shout', suffixes=['.loud'])\ndef render(rows, **options):\n    return '!' * len(rows)\n"
    )
    shutil.copy("rows.json", top)
    assert run("rows.json", "out.loud", cwd=top)[0] == 0 and (top / "out.loud").read_text() == "!!"
    assert run("rows.json", "out.gz", "--format", "gzip", cwd=top)[0] == 0


def test_the_shape():
    assert {p.name for p in Path("export/formats").glob("*_format.py")} == {f"{n}_format.py" for n in ("csv", "json", "html", "gzip")}
    for path in Path("export").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno - node.lineno < 20, (path, node.name)
            if isinstance(node, ast.Constant) and path.parent.name != "formats":
                assert node.value not in {"csv", "html", "gzip", "csv_format", "html_format", "gzip_format", "json_format"}, (path, node.value)
