import subprocess
import sys
import tempfile
from pathlib import Path

from ratchet_check import remote

DRIVER = '''
import tempfile
from pathlib import Path
from settings import SettingsError, load

def get(layers, names, environ):
    folder = Path(tempfile.mkdtemp())
    paths = []
    for number, text in enumerate(layers):
        paths.append(folder / str(number))
        paths[-1].write_text(text)
    settings = load(paths, environ)
    said = []
    for name in names:
        try:
            said.append(settings.as_dict() if name == "*" else settings.get(name))
        except SettingsError as error:
            said.append("! " + str(error))
    return said
'''
Path("/tmp/driver.py").write_text(DRIVER)
remote_get = remote("/tmp/driver.py", "get")
ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def get(layers, *names, env=None):
    return remote_get([layers] if isinstance(layers, str) else layers, list(names), env or {})


def test_references_across_sections_and_layers():
    low = "root = /srv\n[a]\nx = ${root}/a\n[b]\ny = <${a.x}>\n"
    assert get([low, "root = /opt\n"], "b.y", "a.x") == ["</opt/a>", "/opt/a"]


def test_a_higher_layer_may_refer_to_what_it_does_not_hold():
    assert get(["[a]\nx = 1\n", "[a]\ny = ${a.x}${a.x}\n"], "*") == [{"a.x": "1", "a.y": "11"}]


def test_environment_and_defaults():
    text = "a = ${env:HOST:-none}\nb = ${env:HOST}\nc = ${nothing:-x y}\nd = ${empty:-no}\nempty =\ne = ${nothing:-}|\n"
    assert get(text, "a", "b", "c", "d", "e", env={"HOST": "h"}) == ["h", "h", "x y", "", "|"]
    assert get(text, "a") == ["none"]
    assert get("a = ${env:E:-no}\n", "a", env={"E": ""}) == [""]


def test_a_default_is_resolved_only_if_used():
    text = "x = 1\na = ${x:-${gone}}\nb = ${gone:-${x}}\nc = ${gone:-<${gone2:-${x}}>}.\n"
    assert get(text, "a", "b", "c") == ["1", "1", "<1>."]


def test_dollars():
    text = "x = 1\na = $$\nb = $${x}\nc = $x $ y$\nd = $$${x}\ne = $$$$\nf = }{${x}}\n"
    assert get(text, "a", "b", "c", "d", "e", "f") == ["$", "${x}", "$x $ y$", "$1", "$$", "}{1}"]


def test_what_comes_from_the_environment_is_final():
    env = {"APP_A__X": "${a.y}$$", "RAW": "${a.y}$$"}
    text = "[a]\nx = 1\ny = 2\nz = ${a.x}|${env:RAW}\n"
    assert get(text, "a.x", "a.z", env=env) == ["${a.y}$$", "${a.y}$$|${a.y}$$"]


def test_resolved_text_is_not_scanned_again():
    assert get("a = $${b}\nb = 1\nc = ${a}\n", "c") == ["${b}"]


def test_a_reference_to_nothing_names_both():
    (said,) = get("[a]\nx = ${b.y}\n", "a.x")
    assert said.startswith("! ") and "a.x" in said and "b.y" in said
    (said,) = get("[a]\nw = ${a.x}\nx = ${env:NOPE}\n", "a.w")
    assert said.startswith("! ") and "a.x" in said and "NOPE" in said


def test_broken_settings_harm_only_who_asks():
    text = "good = 1\nbad = ${gone}\nopen = ${good\nloop = ${loop}\n"
    said = get(text, "good", "bad", "open", "loop", "*", "gone")
    assert said[0] == "1" and all(item.startswith("! ") for item in said[1:])


def test_cycles_are_shown():
    text = "[a]\nx = ${a.y}\ny = ${a.z}\nz = ${a.x}\nw = ${a.y}\n[s]\ns = ${s.s}\nd = ${no:-${s.d}}\n"
    x, z, w, s, d = get(text, "a.x", "a.z", "a.w", "s.s", "s.d")
    assert "a.x -> a.y -> a.z -> a.x" in x
    assert "a.z -> a.x -> a.y -> a.z" in z
    assert "a.y -> a.z -> a.x -> a.y" in w and "a.w ->" not in w
    assert "s.s -> s.s" in s and "s.d -> s.d" in d


def test_the_same_reference_twice_is_no_cycle():
    assert get("x = 1\ny = ${x}${x}\nz = ${y}${x}${y}\n", "z") == ["11111"]


def test_the_command_line():
    folder = Path(tempfile.mkdtemp())
    (folder / "a").write_text("b = ${a}!\na = 1\n")
    (folder / "c").write_text("c = ${gone}\n")

    def run(*args):
        argv = [sys.executable, "-m", "settings", *args]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, env={**ENV, "APP_A": "7"})

    assert run(str(folder / "a"), "get", "b").stdout == "7!\n"
    assert run(str(folder / "a"), "dump").stdout == "a = 7\nb = 7!\n"
    done = run(str(folder / "a"), str(folder / "c"), "get", "c")
    assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (1, "", 1)
    assert run(str(folder / "c"), "dump").returncode == 1
    assert run(str(folder / "a"), str(folder / "c"), "get", "b").stdout == "7!\n"
    assert run().returncode == 2
