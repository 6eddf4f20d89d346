import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

SCRIPT = str(Path("retry.sh").resolve())


class Place:
    def __init__(self):
        self.top = Path(tempfile.mkdtemp())
        (self.top / "tmp").mkdir()
        self.env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "TMPDIR": str(self.top / "tmp")}

    def run(self, *args, stdin=b""):
        done = subprocess.run(["bash", SCRIPT, *args], input=stdin, capture_output=True, timeout=60, env=self.env, cwd=self.top)
        assert os.listdir(self.top / "tmp") == []
        return done.returncode, done.stdout, done.stderr.decode()

    def tries(self):
        log = self.top / "log"
        return len(log.read_text()) if log.exists() else 0


def fails(times, code=1):
    """A shell program that fails some times, and counts its tries in `log`."""
    return f'printf x >> log; echo try $(wc -c < log); [ $(wc -c < log) -gt {times} ] || exit {code}'


def test_success_at_once():
    place = Place()
    assert place.run("--", "echo", "a  b", "*") == (0, b"a  b *\n", "") and place.run("-q", "--", "true") == (0, b"", "")


def test_success_at_last():
    place = Place()
    assert place.run("--", "sh", "-c", fails(2, 7)) == (0, b"try 3\n", "retry: try 1 of 3 failed (exit code 7)\nretry: try 2 of 3 failed (exit code 7)\n")


def test_giving_up():
    place = Place()
    assert place.run("-n", "2", "--", "sh", "-c", fails(9, 5)) == (5, b"try 2\n", "retry: try 1 of 2 failed (exit code 5)\n") and place.tries() == 2
    place = Place()
    assert place.run("-n1", "-q", "--", "sh", "-c", fails(9)) == (1, b"try 1\n", "")


def test_codes():
    for codes, code, tries in (("1,75-78", 76, 2), ("1,75-78", 2, 1), ("75-75", 75, 2), ("126", 126, 2), ("1", 255, 1), ("1-255", 255, 2)):
        place = Place()
        assert place.run("-q", "-n", "2", "-c", codes, "--", "sh", "-c", fails(9, code))[0] == code and place.tries() == tries, (codes, code)


def test_commands_that_cannot_run():
    place = Place()
    assert place.run("--", "no-such-command")[0] == 127 and "retry:" not in place.run("--", "no-such-command")[2] and place.run("--", "/")[0] == 126


def test_standard_input_for_each_try():
    place = Place()
    assert place.run("-q", "--", "sh", "-c", "cat; " + fails(1), stdin=b"a\0b\nc") == (0, b"a\0b\nctry 2\n", "")


def test_output_is_not_changed():
    place = Place()
    data = os.urandom(3_000_000)
    assert place.run("--", "cat", stdin=data)[1] == data and place.run("--", "printf", "a\\n\\n")[1] == b"a\n\n"


def test_standard_error_goes_through():
    place = Place()
    code, out, err = place.run("-q", "-n", "2", "--", "sh", "-c", "echo e >&2; exit 3")
    assert (code, out, err) == (3, b"", "e\ne\n")


def test_signals_count_as_codes():
    place = Place()
    code, _, err = place.run("-n", "2", "--", "sh", "-c", "kill -9 $$")
    assert code == 137 and "retry: try 1 of 2 failed (exit code 137)" in err


def test_waits_double():
    place = Place()
    start = time.monotonic()
    assert place.run("-q", "-d", "0.2", "--", "sh", "-c", fails(9))[0] == 1
    assert time.monotonic() - start >= 0.6
    start = time.monotonic()
    assert place.run("-q", "-n", "1", "-d", "60", "--", "false")[0] == 1 and time.monotonic() - start < 30


def test_wrong_usage():
    bad = [[], ["--"], ["-n", "0", "--", "true"], ["-n", "x", "--", "true"], ["-n", "-1", "--", "true"], ["-d", "x", "--", "true"], ["-d", "-1", "--", "true"], ["-z", "--", "true"], ["-n"], ["-c", "0", "--", "true"],
           ["-c", "256", "--", "true"], ["-c", "5-3", "--", "true"], ["-c", "a", "--", "true"], ["-c", "", "--", "true"], ["-c", "1,", "--", "true"], ["true"]]
    for args in bad:
        code, out, err = Place().run(*args)
        assert (code, out) == (2, b"") and err, args


def test_being_ended():
    place = Place()
    process = subprocess.Popen(["bash", SCRIPT, "--", "sh", "-c", "echo $$ > pid; exec sleep 30"], env=place.env, cwd=place.top, stdin=subprocess.DEVNULL)
    for _ in range(200):
        if (place.top / "pid").exists() and (place.top / "pid").read_text().strip():
            break
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143 and os.listdir(place.top / "tmp") == []
    pid = int((place.top / "pid").read_text())
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                break
        except FileNotFoundError:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("the command still runs")
