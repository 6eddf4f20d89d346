import json
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


class List:
    def __init__(self, content=None):
        self.file = Path(tempfile.mkdtemp()) / "t.json"
        if content is not None:
            self.file.write_text(content)

    def run(self, *args):
        argv = [sys.executable, "-m", "tasklist", "--file", str(self.file), *args]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=ENV)

    def __call__(self, *args):
        done = self.run(*args)
        assert done.returncode == 0, done.stderr[-300:]
        return done.stdout.splitlines()


def test_add_and_list_in_order():
    tasks = List()
    assert tasks("add", "a") == ["added 1"]
    tasks("add", "b", "--due", "2026-05-01")
    tasks("add", "c", "--priority", "low", "--due", "2020-01-01")
    tasks("add", "d", "--priority", "high")
    tasks("add", "e", "--due", "2026-04-30", "--priority", "normal")
    tasks("add", "f", "--priority", "high", "--due", "2027-01-01")
    assert tasks("list") == [
        "6. [ ] f (high) due 2027-01-01", "4. [ ] d (high)", "5. [ ] e due 2026-04-30", "2. [ ] b due 2026-05-01", "1. [ ] a", "3. [ ] c (low) due 2020-01-01",
    ]


def test_done_hides_and_all_shows():
    tasks = List()
    for name in "abc":
        tasks("add", name)
    tasks("done", "1", "3")
    tasks("done", "1")
    assert tasks("list") == ["2. [ ] b"]
    assert tasks("list", "--all") == ["1. [x] a", "2. [ ] b", "3. [x] c"]


def test_an_unknown_id_changes_nothing():
    tasks = List()
    tasks("add", "a")
    before = tasks.file.read_text()
    for args in (["done", "1", "9"], ["done", "9"], ["remove", "2"]):
        done = tasks.run(*args)
        assert done.returncode == 1 and done.stderr and "Traceback" not in done.stderr
    assert tasks("list") == ["1. [ ] a"] and tasks.file.read_text() == before


def test_ids_are_never_used_again():
    tasks = List()
    tasks("add", "a")
    tasks("add", "b")
    tasks("remove", "2")
    assert tasks("add", "c") == ["added 3"]
    tasks("remove", "1")
    tasks("remove", "3")
    assert tasks("list") == [] and tasks("add", "d") == ["added 4"]


def test_json():
    tasks = List()
    tasks("add", "ä")
    tasks("add", "b", "--priority", "high", "--due", "2026-05-01")
    tasks("done", "1")
    assert json.loads("".join(tasks("list", "--json", "--all"))) == [
        {"id": 2, "text": "b", "done": False, "priority": "high", "due": "2026-05-01"},
        {"id": 1, "text": "ä", "done": True, "priority": "normal", "due": None},
    ]
    assert [t["id"] for t in json.loads("".join(tasks("list", "--json")))] == [2]
    assert json.loads("".join(List()("list", "--json"))) == []


def test_wrong_usage():
    tasks = List()
    for args in (["add", "a", "--due", "2026-02-30"], ["add", "a", "--due", "tomorrow"], ["add", "a", "--priority", "urgent"], ["done"], ["done", "x"], []):
        assert tasks.run(*args).returncode == 2, args
    assert not tasks.file.exists()


def test_files_of_the_first_version():
    tasks = List('[{"id": 1, "text": "old"}, {"id": 2, "text": "older"}]')
    assert tasks("list") == ["1. [ ] old", "2. [ ] older"]
    tasks("done", "1")
    assert tasks("add", "new") == ["added 3"]
    assert tasks("list", "--all") == ["1. [x] old", "2. [ ] older", "3. [ ] new"]


def test_a_broken_file_is_left_alone():
    for content in ("{", "7", '"x"', '{"a": 1}', "[1]", ""):
        tasks = List(content)
        for args in (["add", "a"], ["list"], ["done", "1"]):
            done = tasks.run(*args)
            assert done.returncode == 1 and done.stderr and "Traceback" not in done.stderr, (content, args)
        assert tasks.file.read_text() == content
