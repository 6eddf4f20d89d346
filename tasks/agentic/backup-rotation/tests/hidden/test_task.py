import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
SCRIPT = str(Path("rotate.sh").resolve())


class Place:
    def __init__(self, source="web", target="out", backups=()):
        self.top = Path(tempfile.mkdtemp())
        self.source, self.target = self.top / source, self.top / target
        (self.source / "sub dir").mkdir(parents=True)
        (self.source / "a file").write_text("a")
        (self.source / ".hidden").write_text("h")
        (self.source / "sub dir" / "b").write_text("b")
        for name in backups:
            self.target.mkdir(exist_ok=True, parents=True)
            (self.target / name).write_text("old")

    def run(self, *args, source=None, target=None):
        argv = ["bash", SCRIPT, *args, str(source or self.source), str(target or self.target)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=ENV, cwd=self.top)

    def good(self, *args, **kwargs):
        done = self.run(*args, **kwargs)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def there(self):
        return sorted(os.listdir(self.target)) if self.target.exists() else None

    def members(self, name):
        with tarfile.open(self.target / name) as tar:
            return sorted(m.name.rstrip("/") for m in tar if m.isfile())


def dated(name, *days):
    return [f"{name}-2026-01-{day:02}.tar.gz" for day in days]


def test_one_backup_with_everything_in_it():
    place = Place(target="new/deep")
    assert place.good("-d", "2026-02-01") == ["made web-2026-02-01.tar.gz"]
    assert place.members("web-2026-02-01.tar.gz") == ["web/.hidden", "web/a file", "web/sub dir/b"]
    assert place.there() == ["web-2026-02-01.tar.gz"]


def test_names_with_spaces_and_odd_characters():
    for name in ("my web", "a*b", "[x]", "-k", "it's", "a,b&c"):
        place = Place(source=name, target="the out", backups=[*dated(name, 1, 2), "aXb-2026-01-01.tar.gz", "x-2026-01-01.tar.gz"])
        assert place.good("-k", "2", "-d", "2026-02-01") == [f"made {name}-2026-02-01.tar.gz", f"deleted {name}-2026-01-01.tar.gz"]
        assert place.members(f"{name}-2026-02-01.tar.gz")[1] == f"{name}/a file"
        assert "aXb-2026-01-01.tar.gz" in place.there() and "x-2026-01-01.tar.gz" in place.there()


def test_the_oldest_by_name_go_first():
    place = Place(backups=dated("web", 4, 1, 3, 2))
    for n, name in enumerate(dated("web", 4, 3, 2, 1)):
        os.utime(place.target / name, (1e9 + n, 1e9 + n))
    assert place.good("-d", "2026-01-05") == ["made web-2026-01-05.tar.gz", "deleted web-2026-01-01.tar.gz", "deleted web-2026-01-02.tar.gz"]
    assert place.there() == dated("web", 3, 4, 5)


def test_a_backup_with_an_old_date_may_be_the_one_to_go():
    place = Place(backups=dated("web", 4, 5))
    assert place.good("-k", "2", "-d", "2026-01-01") == ["made web-2026-01-01.tar.gz", "deleted web-2026-01-01.tar.gz"]
    assert place.there() == dated("web", 4, 5)


def test_other_files_are_never_touched():
    others = [*dated("web-shop", 1, 2), *dated("my-web", 1), "web-1.tar.gz", "web-2026-01-01.tar", "web-2026-01-01.tar.gz.bak", "web-latest", "web-2026-1-01.tar.gz"]
    place = Place(backups=[*others, *dated("web", 1, 2)])
    assert len(place.good("-k", "1", "-d", "2026-02-01")) == 3
    assert place.there() == sorted([*others, "web-2026-02-01.tar.gz"])


def test_the_same_date_is_replaced():
    place = Place(backups=dated("web", 1, 2))
    assert place.good("-k", "2", "-d", "2026-01-02") == ["made web-2026-01-02.tar.gz"]
    assert place.members("web-2026-01-02.tar.gz") and place.there() == dated("web", 1, 2)


def test_dry_run_changes_nothing():
    place = Place(backups=dated("web", 1, 2))
    assert place.good("-n", "-k", "1", "-d", "2026-01-03") == ["made web-2026-01-03.tar.gz", "deleted web-2026-01-01.tar.gz", "deleted web-2026-01-02.tar.gz"]
    assert place.there() == dated("web", 1, 2)
    empty = Place()
    assert empty.good("-n", "-d", "2026-01-03") == ["made web-2026-01-03.tar.gz"] and empty.there() is None


def test_a_target_inside_the_source_is_left_out():
    place = Place(target="web/sub dir/out", backups=dated("web", 1))
    place.good("-d", "2026-01-02")
    assert place.members("web-2026-01-02.tar.gz") == ["web/.hidden", "web/a file", "web/sub dir/b"]


def test_relative_paths_and_a_slash_at_the_end():
    place = Place()
    assert place.good("-d", "2026-01-02", source="web/", target="./out") == ["made web-2026-01-02.tar.gz"]
    assert place.members("web-2026-01-02.tar.gz") == ["web/.hidden", "web/a file", "web/sub dir/b"]


def test_wrong_usage():
    place = Place()
    for args in (["-k", "0"], ["-k", "x"], ["-k", "-1"], ["-k", ""], ["-d", "2026-1-1"], ["-d", "today"], ["-x"], ["more"]):
        done = place.run(*args)
        assert (done.returncode, done.stdout) == (2, ""), args
        assert done.stderr
    assert subprocess.run(["bash", SCRIPT], capture_output=True, env=ENV, timeout=60).returncode == 2
    assert place.there() is None


def test_failures():
    place = Place(backups=dated("web", 1, 2, 3, 4))
    done = place.run("-d", "2026-02-01", source=place.top / "none")
    assert (done.returncode, done.stdout) == (1, "")
    if os.geteuid() != 0:
        (place.source / "a file").chmod(0)
        done = place.run("-k", "1", "-d", "2026-01-04")
        assert (done.returncode, done.stdout, place.there()) == (1, "", dated("web", 1, 2, 3, 4))
        assert (place.target / "web-2026-01-04.tar.gz").read_text() == "old"


def test_today_is_the_default():
    today = subprocess.run(["date", "+%Y-%m-%d"], capture_output=True, text=True, timeout=60).stdout.strip()
    made = Place().good()[0]
    now = subprocess.run(["date", "+%Y-%m-%d"], capture_output=True, text=True, timeout=60).stdout.strip()
    assert made in {f"made web-{today}.tar.gz", f"made web-{now}.tar.gz"}
