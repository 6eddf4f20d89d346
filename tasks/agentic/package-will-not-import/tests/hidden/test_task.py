import ast
import subprocess
import sys
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def run(*argv):
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=60, env=ENV)
    assert done.returncode == 0, done.stderr[-300:]
    return done.stdout


def test_every_module_can_be_imported_first():
    for name in ("geo", "geo.units", "geo.points", "geo.distance", "geo.area", "geo.track"):
        run("-c", f"import {name}")


def test_the_visible_tests_hold():
    code = "import sys; sys.path.insert(0, 'tests'); import test_geo as t; [getattr(t, n)() for n in dir(t) if n.startswith('test_')]; print('done')"
    assert run("-c", code) == "done\n"


def test_the_program_runs():
    assert run("-m", "geo", "0,0", "0,1", "1,1").splitlines() == ["222.390 km", "0.0,0.0 1.0,1.0", "geo/1.2"]


def test_importing_main_runs_nothing():
    assert run("-c", "import geo.__main__") == ""


def test_names_stay_where_they_are():
    code = (
        "import geo, geo.units as u, geo.points as p, geo.distance as d, geo.area as a, geo.track as t\n"
        "print(p.Point.__module__, p.midpoint.__module__, d.haversine.__module__, a.bounding_box.__module__,"
        " t.Track.__module__, u.to_miles.__module__, u.AGENT, geo.__version__, geo.Track is t.Track, geo.Point is p.Point)"
    )
    assert run("-c", code).strip() == (
        "geo.points geo.points geo.distance geo.area geo.track geo.units geo/1.2 1.2 True True"
    )


def test_nothing_is_defined_twice():
    seen = []
    for path in Path("geo").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                seen.append(node.name)
    assert sorted(seen) == sorted(set(seen)), seen
    assert {"haversine", "midpoint", "Point", "Track", "bounding_box", "to_miles", "main"} <= set(seen)


def test_miles():
    assert run("-c", "import geo; print(round(geo.Track([(0, 0), (0, 1)]).length_miles(), 2))") == "69.09\n"
