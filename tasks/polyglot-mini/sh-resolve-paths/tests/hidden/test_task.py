import subprocess

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


def run(*args):
    done = subprocess.run(["sh", "resolve.sh", *args], capture_output=True, text=True, timeout=60, env=ENV)
    return done.returncode, done.stdout, bool(done.stderr)


def paths(*args):
    code, out, err = run(*args)
    assert (code, err) == (0, False)
    return out.split("\n")[:-1]


def test_relative_and_absolute():
    assert paths("/a/b", "c", "/c", "c/d", "../c", ".", "") == ["/a/b/c", "/c", "/a/b/c/d", "/a/c", "/a/b", "/a/b"]


def test_dots():
    assert paths("/a/b", "..", "../..", "../../..", "./c/./../d/", "...", ".c", "c..", "/..", "/../x/..") == ["/a", "/", "/", "/a/b/d", "/a/b/...", "/a/b/.c", "/a/b/c..", "/", "/"]


def test_slashes():
    assert paths("//a///b//", "c//d/", "//", "/") == ["/a/b/c/d", "/", "/"] and paths("/", "a", ".", "..") == ["/a", "/", "/"]


def test_a_base_with_dots():
    assert paths("/a/../b/.", "c", "../../d") == ["/b/c", "/d"]


def test_odd_names():
    odd = ["*", "a b", " x ", "\\n", "a\\", "-n", "-e x", "$HOME", "`id`", "'", '"', "[a]", "?", "%s", "~", "ü", "a\tb"]
    assert paths("/*", *odd) == ["/*/" + name for name in odd]


def test_wrong_usage():
    assert run() == (2, "", True) and run("a", "b") == (2, "", True) and run("", "b") == (2, "", True) and run("./a") == (2, "", True)
    assert run("/a") == (0, "", False)


def test_nothing_is_looked_at_and_long_paths():
    assert paths("/usr/bin/../lib", "../bin/sh/..") == ["/usr/bin"] and paths("/", "a/" * 2000 + "../" * 1999 + "b") == ["/a/b"]


def test_no_helpers_are_needed():
    done = subprocess.run(["/bin/sh", "resolve.sh", "/x", "../y"], capture_output=True, text=True, timeout=60, env={"PATH": "/nowhere"})
    assert (done.returncode, done.stdout) == (0, "/y\n")
