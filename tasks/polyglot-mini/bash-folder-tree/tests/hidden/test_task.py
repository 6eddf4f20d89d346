import os
import subprocess
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
SCRIPT = str(Path("tree.sh").resolve())


def make(*paths):
    top = Path(tempfile.mkdtemp())
    for path in paths:
        target = top / "t" / path
        if " -> " in path:
            name, to = path.split(" -> ")
            (top / "t" / name).symlink_to(to)
        elif path.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("")
    return top


def run(top, *args):
    done = subprocess.run(["bash", SCRIPT, *args], capture_output=True, text=True, timeout=60, env=ENV, cwd=top)
    return done.returncode, done.stdout, done.stderr


def tree(top, *args):
    code, out, err = run(top, *args)
    assert (code, err) == (0, ""), err
    return out


def test_a_small_tree():
    top = make("a/file 1", "b/", "c/d/e", "c/f")
    assert tree(top, "t") == "t\n|-- a\n|   `-- file 1\n|-- b\n`-- c\n    |-- d\n    |   `-- e\n    `-- f\n\n4 folders, 3 files\n"


def test_an_empty_folder_and_the_name_as_given():
    top = make("x/")
    assert tree(top, "t/x/") == "t/x/\n\n0 folders, 0 files\n" and tree(top, f"{top}/t") == f"{top}/t\n`-- x\n\n1 folders, 0 files\n"


def test_hidden_names():
    top = make(".h/a", ".x", "v")
    assert tree(top, "t") == "t\n`-- v\n\n0 folders, 1 files\n"
    assert tree(top, "-a", "t") == "t\n|-- .h\n|   `-- a\n|-- .x\n`-- v\n\n1 folders, 3 files\n"


def test_depth():
    top = make("a/b/c/d", "e")
    assert tree(top, "-L", "1", "t") == "t\n|-- a\n`-- e\n\n1 folders, 1 files\n"
    assert tree(top, "-L", "2", "t") == "t\n|-- a\n|   `-- b\n`-- e\n\n2 folders, 1 files\n"
    assert tree(top, "-L", "09", "t").endswith("\n\n3 folders, 2 files\n")


def test_links_are_not_followed():
    top = make("d/f", "l -> d", "m -> nowhere x", "n -> .")
    assert tree(top, "t") == "t\n|-- d\n|   `-- f\n|-- l -> d\n|-- m -> nowhere x\n`-- n -> .\n\n1 folders, 4 files\n"


def test_order_is_by_bytes():
    assert tree(make("b", "B", "a", "_", "ä", "10", "9"), "t").split("\n")[1:-3] == ["|-- 10", "|-- 9", "|-- B", "|-- _", "|-- a", "|-- b", "`-- ä"]


def test_odd_names():
    names = ["*", "-n", "a  b", "a\\b", "$x", "%s", "[z]", "it's", '"q"']
    out = tree(make(*[f"d/{n}" for n in names]), "t").split("\n")
    assert [line[8:] for line in out[2:-3]] == sorted(names)
    top = make("a")
    os.rename(top / "t", top / "-x *")
    assert tree(top, "--", "-x *") == "-x *\n`-- a\n\n0 folders, 1 files\n"


def test_errors():
    top = make("f")
    for args, expected in ((["t/f"], 1), (["no"], 1), ([], 2), (["t", "t"], 2), (["-z", "t"], 2), (["-L", "0", "t"], 2), (["-L", "x", "t"], 2), (["-L"], 2)):
        code, out, err = run(top, *args)
        assert (code, out) == (expected, "") and err, args
