import os
import subprocess
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
SCRIPT = str(Path("changelog.sh").resolve())


class Repository:
    def __init__(self):
        self.top = tempfile.mkdtemp()
        self.clock = 1_795_392_000
        self.git("init", "-q", "-b", "main")

    def git(self, *args, stdin=None):
        stamp = f"{self.clock} +0900"
        who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b", "GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
        done = subprocess.run(["git", "-C", self.top, *args], input=stdin, capture_output=True, text=True, env={**ENV, **who}, timeout=60, check=True)
        return done.stdout.strip()

    def commit(self, subject, body=""):
        self.clock += 60
        self.git("commit", "-q", "--allow-empty", "--cleanup=verbatim", "-F", "-", stdin=subject + ("\n\n" + body if body else "") + "\n")
        return self.git("rev-parse", "HEAD")

    def run(self, *args, cwd=None):
        done = subprocess.run(["bash", SCRIPT, *args], capture_output=True, text=True, env=ENV, timeout=60, cwd=cwd or self.top)
        return done.returncode, done.stdout, done.stderr

    def log(self, *args):
        code, out, err = self.run("-C", self.top, *args, cwd="/")
        assert code == 0, err
        return out


def test_headings_in_order_and_entries_oldest_first():
    r = Repository()
    a, b, c, d, e = [r.commit(s) for s in ("fix: one", "docs(readme): two", "feat(parser): three", "fix(x y): four", "chore: five")]
    assert r.log() == (
        f"# HEAD (2026-11-23)\n\n## Features\n\n- **parser:** Three ({c[:7]})\n\n## Fixes\n\n- One ({a[:7]})\n- **x y:** Four ({d[:7]})\n"
        f"\n## Documentation\n\n- **readme:** Two ({b[:7]})\n\n## Other\n\n- chore: five ({e[:7]})\n"
    )
    assert r.run()[1] == r.log()


def test_the_newest_tag_is_the_default():
    r = Repository()
    r.commit("feat: old")
    r.git("tag", "v1")
    a = r.commit("feat: new")
    r.git("tag", "v2")
    expected = f"# HEAD (2026-11-23)\n\n## Features\n\n- New ({a[:7]})\n"
    assert r.log() == expected and r.log("v1", "v2") == expected.replace("HEAD", "v2")
    assert r.log("v2") == "# HEAD (2026-11-23)\n"
    assert r.log("v1", "v1") == "# v1 (2026-11-23)\n"


def test_annotated_tags():
    r = Repository()
    r.commit("feat: old")
    r.git("tag", "-a", "-m", "one", "v1")
    a = r.commit("fix: new")
    r.git("tag", "-a", "-m", "two", "v2")
    assert r.log() == f"# HEAD (2026-11-23)\n\n## Fixes\n\n- New ({a[:7]})\n" and r.log("v1", "v2").startswith("# v2 (2026-11-23)\n\n## Fixes")


def test_the_date_is_utc():
    r = Repository()
    r.clock += 15 * 3600
    r.commit("feat: x")
    assert r.log().startswith("# HEAD (2026-11-23)\n")
    r.clock += 9 * 3600
    r.commit("feat: y")
    assert r.log().startswith("# HEAD (2026-11-24)\n")


def test_breaking_changes_come_first_and_again():
    r = Repository()
    a = r.commit("feat(api)!: drop it")
    b = r.commit("fix: tidy", "Some text.\n\nBREAKING CHANGE: names are new\nBREAKING CHANGE: second")
    c = r.commit("note", "no BREAKING CHANGE: here")
    d = r.commit("fix!: both", "BREAKING CHANGE: said here")
    assert r.log() == (
        f"# HEAD (2026-11-23)\n\n## Breaking changes\n\n- **api:** Drop it ({a[:7]})\n- Names are new ({b[:7]})\n- Said here ({d[:7]})\n"
        f"\n## Features\n\n- **api:** Drop it ({a[:7]})\n\n## Fixes\n\n- Tidy ({b[:7]})\n- Both ({d[:7]})\n\n## Other\n\n- note ({c[:7]})\n"
    )


def test_odd_characters_stay():
    r = Repository()
    for text in ("*a* `b` $(touch x) $HOME \\n %s", 'quotes " and \' here', "-n dash", "a: b: c", "ünder [x](y)", "* star"):
        h = r.commit(f"fix: {text}")
        shown = text[0].upper() + text[1:] if text[0].isascii() else text
        assert f"- {shown} ({h[:7]})\n" in r.log()
    assert not os.path.exists(Path(r.top) / "x")


def test_subjects_of_another_form():
    r = Repository()
    subjects = ["Feature: capital", "feat:no blank", "feat (x): blank", "just text", "feat(): empty", "fix(a)(b): two", "Fix: capital type"]
    hashes = [r.commit(s) for s in subjects]
    out = r.log()
    for s, h in zip(subjects, hashes):
        if s != "feat(): empty":
            assert f"- {s} ({h[:7]})\n" in out.split("## Other")[1], s


def test_merges_are_left_out():
    r = Repository()
    r.commit("feat: base")
    r.git("checkout", "-q", "-b", "side")
    s = r.commit("fix: side")
    r.git("checkout", "-q", "main")
    m = r.commit("fix: main")
    r.git("merge", "-q", "--no-ff", "-m", "feat: merge it", "side")
    out = r.log()
    assert "erge it" not in out and f"- Side ({s[:7]})" in out and f"- Main ({m[:7]})" in out
    assert r.log("main~1") == f"# HEAD (2026-11-23)\n\n## Fixes\n\n- Side ({s[:7]})\n"


def test_reverts():
    r = Repository()
    a = r.commit("feat: a")
    b = r.commit("feat: b")
    ra = r.commit('Revert "feat: a"', f"This reverts commit {a}.")
    rb = r.commit('Revert "feat: b"', f"Because.\n\nThis reverts commit {b}.")
    assert r.log() == "# HEAD (2026-11-23)\n"
    r.commit('Reapply "feat: b"', f"This reverts commit {rb}.")
    assert r.log() == f"# HEAD (2026-11-23)\n\n## Features\n\n- B ({b[:7]})\n"
    assert r.log(b) == "# HEAD (2026-11-23)\n" + f'\n## Other\n\n- Revert "feat: a" ({ra[:7]})\n'


def test_errors():
    r = Repository()
    r.commit("feat: a")
    for args in (["nope"], ["HEAD", "nope"], ["-C", "/nowhere"], ["-C", tempfile.mkdtemp()]):
        code, out, err = r.run(*args)
        assert (code, out) == (1, "") and err, args
    for args in (["-x"], ["a", "b", "c"], ["-C"]):
        code, out, err = r.run(*args)
        assert (code, out) == (2, "") and err, args


def test_a_thousand_commits():
    r = Repository()
    stream = "".join(f"commit refs/heads/main\ncommitter a <a@b> {1_795_392_000 + n} +0000\ndata <<E\nfix(s{n % 5}): number {n}\nE\n" for n in range(1000))
    r.git("fast-import", "--quiet", stdin=stream)
    out = r.log().splitlines()
    assert len(out) == 1004 and out[4].startswith("- **s0:** Number 0 (") and out[-1].startswith("- **s4:** Number 999 (")


def test_the_types_are_kept():
    done = subprocess.run(["bash", "-c", '. lib/types.sh; printf "%s\\n" "${TYPES[@]}"'], capture_output=True, text=True, env=ENV, timeout=60)
    assert done.stdout == "feat=Features\nfix=Fixes\nperf=Performance\ndocs=Documentation\n"
