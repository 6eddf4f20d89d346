import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
SAY = "def say(*a): print(json.dumps(a))\n"


def copy(**schema):
    top = Path(tempfile.mkdtemp()) / "a b"
    for part in ("tools", "api", "schema"):
        shutil.copytree(part, top / part)
    if schema:
        for path in (top / "schema").iterdir():
            path.unlink()
        for name, endpoints in schema.items():
            (top / "schema" / f"{name}.json").write_text(json.dumps(endpoints))
    return top


def tool(top, name, cwd=None):
    return subprocess.run([sys.executable, str(top / "tools" / name)], capture_output=True, text=True, timeout=60, env=ENV, cwd=cwd or top)


def generated(**schema):
    top = copy(**schema)
    done = tool(top, "generate.py", cwd="/")
    assert done.returncode == 0, done.stderr[-300:]
    return top


def call(top, code):
    done = subprocess.run([sys.executable, "-c", "import json\nfrom api.client import *\n" + SAY + code], capture_output=True, text=True, timeout=60, env=ENV, cwd=top)
    assert done.returncode == 0, done.stderr[-300:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def endpoint(name="x", path="/p", description="d", method="GET", parameters=()):
    return {"name": name, "method": method, "path": path, "description": description, "parameters": list(parameters)}


def test_what_was_handed_in_is_up_to_date():
    assert tool(Path.cwd(), "check.py", cwd="/").stdout == "ok\n"
    before = Path("api/client.py").read_bytes()
    assert (generated() / "api" / "client.py").read_bytes() == before


def test_the_handed_in_client_works():
    assert call(Path.cwd(), "get_order(say, 7)\nget_order(say, 'a/b c', expand='x')\nlist_orders(say, 'now')\nlist_orders(say, 'n', limit=None, per_page=0)\ndelete_user(say, 'ü', user_id='?')\nprint(json.dumps([delete_user.__doc__, list_orders.__doc__]))") == [
        ["GET", "/orders/7", {}], ["GET", "/orders/a%2Fb%20c", {"expand": "x"}], ["GET", "/orders", {"limit": 20, "from": "now", "per-page": True}], ["GET", "/orders", {"from": "n", "per-page": 0}],
        ["DELETE", "/teams/%C3%BC/users/%3F", {}], ["Gone is\ngone. C:\\new", 'Orders, "newest" first.'],
    ]


def test_odd_texts():
    odd = 'a """ b \\" {x} \' \n\u2028 ü \\'
    top = generated(a=[endpoint(description=odd, path="/q'\"\\{a b}/end", parameters=[{"name": "a b"}, {"name": "d", "default": odd}, {"name": "l", "default": [1, None, {"k": 1.5}]}])])
    assert call(top, "x(say, 1)\nprint(json.dumps([x.__doc__]))")[1] == [odd]
    assert call(top, "x(say, 1)")[0][2] == {"d": odd, "l": [1, None, {"k": 1.5}]} and call(top, "x(say, '/')")[0][1].startswith("/q'\"\\%2F/")


def test_odd_names():
    names = ["class", "1st", "x.y-z", "é", "None", "a b"]
    top = generated(a=[endpoint(parameters=[{"name": n} for n in names])])
    assert call(top, "x(say, 1, 2, 3, 4, 5, 6)\nx(say, class_=1, _1st=2, x_y_z=3, é=4, None_=5, a_b=6)") == [["GET", "/p", dict(zip(names, range(1, 7)))]] * 2


def test_order_of_files_endpoints_and_parameters():
    top = generated(b=[endpoint("b1")], a=[endpoint("z"), endpoint("a", parameters=[{"name": "p", "default": 1}, {"name": "q"}, {"name": "r", "default": None}, {"name": "s"}])], C=[endpoint("c")])
    text = (top / "api" / "client.py").read_text()
    assert sorted(["def c(", "def z(", "def a(", "def b1("], key=text.index) == ["def c(", "def z(", "def a(", "def b1("]
    assert call(top, "a(say, 'q', 's', 'p', 'r')\nc(say)") == [["GET", "/p", {"p": "p", "q": "q", "r": "r", "s": "s"}], ["GET", "/p", {}]]


def test_two_of_one_name():
    top = copy(a=[endpoint("x")], b=[endpoint("x")])
    before = (top / "api" / "client.py").read_bytes()
    done = tool(top, "generate.py")
    assert done.returncode == 1 and (done.stderr + done.stdout).strip() and "Traceback" not in done.stderr and (top / "api" / "client.py").read_bytes() == before


def test_the_check():
    top = generated()
    assert (tool(top, "check.py", cwd="/").stdout, tool(top, "check.py").returncode) == ("ok\n", 0)
    target = top / "api" / "client.py"
    good = target.read_bytes()
    for change in (good + b"\n", good.replace(b"orders", b"order"), b""):
        target.write_bytes(change)
        done = tool(top, "check.py", cwd="/")
        assert (done.stdout, done.returncode, target.read_bytes()) == ("out of date\n", 1, change)
    target.unlink()
    assert tool(top, "check.py").returncode == 1 and not target.exists()
    target.write_bytes(good)
    (top / "schema" / "new.json").write_text(json.dumps([endpoint("brand_new")]))
    assert tool(top, "check.py").stdout == "out of date\n" and target.read_bytes() == good
    assert tool(top, "generate.py").returncode == 0 and tool(top, "check.py").stdout == "ok\n" and b"brand_new" in target.read_bytes()


def test_nothing_depends_on_folder_or_order():
    one, two = generated(), generated()
    assert (one / "api" / "client.py").read_bytes() == (two / "api" / "client.py").read_bytes()
    assert sorted(os.listdir(one)) == ["api", "schema", "tools"]
