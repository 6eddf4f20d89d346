import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


def copy(name="a place"):
    top = Path(tempfile.mkdtemp()) / name
    top.mkdir()
    for part in ("src", "steps"):
        shutil.copytree(part, top / part)
    shutil.copy("release.sh", top)
    return top


def release(top, *args, cwd=None):
    return subprocess.run(["bash", str(top / "release.sh"), *args], capture_output=True, text=True, timeout=60, env=ENV, cwd=cwd or top)


def state(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def unpack(top, version):
    to = Path(tempfile.mkdtemp())
    with tarfile.open(top / "out" / f"hello-{version}.tar", "r:") as tar:
        for member in tar:
            assert member.name == f"hello-{version}" or member.name.startswith(f"hello-{version}/")
    subprocess.run(["tar", "-C", str(to), "-xf", str(top / "out" / f"hello-{version}.tar")], check=True, timeout=60)
    return to / f"hello-{version}"


def test_a_release():
    top = copy()
    before = state(top)
    done = release(top, "1.2.3")
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(top / "out")) == ["SHA256SUMS", "hello-1.2.3.tar"]
    folder = unpack(top, "1.2.3")
    assert sorted(state(folder)) == ["VERSION", "hello.sh", "lib/greet.sh"] and (folder / "VERSION").read_text() == "1.2.3\n"
    said = subprocess.run([str(folder / "hello.sh"), "Jo"], capture_output=True, text=True, timeout=60, env=ENV, cwd="/")
    assert said.stdout == "Hello, Jo! (version 1.2.3)\n"
    assert {k: v for k, v in state(top).items() if not k.startswith("out/")} == before


def test_the_checksum():
    top = copy("x")
    assert release(top, "0.0.1").returncode == 0
    digest = hashlib.sha256((top / "out" / "hello-0.0.1.tar").read_bytes()).hexdigest()
    assert (top / "out" / "SHA256SUMS").read_text() == f"{digest}  hello-0.0.1.tar\n"


def test_from_elsewhere_and_twice():
    top = copy("it's $HOME *")
    assert release(top, "1.0.0", cwd="/").returncode == 0
    assert release(top, "10.20.30", cwd="/tmp").returncode == 0
    assert sorted(os.listdir(top / "out")) == ["SHA256SUMS", "hello-10.20.30.tar"]
    assert "hello-1.0.0" not in (top / "out" / "SHA256SUMS").read_text()


def test_bad_versions():
    top = copy()
    assert release(top, "1.0.0").returncode == 0
    before = state(top)
    for args in ([], [""], ["1.2"], ["1.2.3.4"], ["v1.2.3"], ["1.2.3-rc1"], ["01.2.3"], ["1.02.3"], ["1x2x3"], ["1.2.3 "], ["1.2.3\n"], ["a1.2.3"]):
        done = release(top, *args)
        assert done.returncode == 2 and done.stderr and "released" not in done.stdout, args
    assert state(top) == before


def test_a_failing_step_leaves_the_old_release():
    for broken in ("src/lib/greet.sh", "src/hello.sh"):
        top = copy()
        assert release(top, "1.0.0").returncode == 0
        old = state(top / "out")
        (top / broken).unlink()
        done = release(top, "2.0.0")
        assert done.returncode != 0 and state(top / "out") == old
        shutil.rmtree(top / "out")
        assert release(top, "2.0.0").returncode != 0 and not (top / "out").exists()


def test_nothing_else_is_left():
    top = copy()
    release(top, "1.0.0")
    assert sorted(os.listdir(top)) == ["out", "release.sh", "src", "steps"]
