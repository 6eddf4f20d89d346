import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
TMP = Path(tempfile.mkdtemp())


def run(*args):
    return subprocess.run([sys.executable, "report.py", *args], capture_output=True, text=True, timeout=60, env=ENV)


def line(address="1.1.1.1", request="GET /a HTTP/1.1", status="200", size="1", agent="x", ms="1"):
    return f'{address} - - [23/Nov/2026:05:00:01 +0000] "{request}" {status} {size} "-" "{agent}" {ms}'


def report(*lines, name="x.log"):
    body = "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n"
    (TMP / name).write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    done = run(str(TMP / name))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_samples():
    done = run("logs/access.log", "logs/access.log.1")
    expected = {
        "requests": 6, "bad_lines": 3, "status": {"2xx": 3, "3xx": 1, "4xx": 1, "5xx": 1},
        "top_paths": [["/", 2], ["/cart", 2], ["/help", 1]], "clients": 4, "bytes": 2150, "p95_ms": 101.25,
    }
    assert json.loads(done.stdout) == expected
    assert done.stdout.strip() == json.dumps(expected, indent=2, sort_keys=True)


def test_an_empty_file_has_no_percentile():
    got = report("", "")
    assert got == {"requests": 0, "bad_lines": 0, "status": {}, "top_paths": [], "clients": 0, "bytes": 0, "p95_ms": None}


def test_nearest_rank():
    assert report(*[line(ms=str(n)) for n in range(1, 21)])["p95_ms"] == 19
    assert report(*[line(ms=str(n)) for n in range(1, 22)])["p95_ms"] == 20
    assert report(*[line(ms=str(n)) for n in range(100, 0, -1)])["p95_ms"] == 95
    assert report(line(ms="9"), line(ms="10.5"), line(ms="100"))["p95_ms"] == 100


def test_ties_go_by_path_and_queries_are_cut():
    got = report(*[line(request=f"GET {p} HTTP/1.1") for p in ("/z", "/b?x=1", "/b", "/y?", "/a?q=/z?", "/z?1", "/c")])
    assert got["top_paths"] == [["/b", 2], ["/z", 2], ["/a", 1]]


def test_quotes_and_backslashes_inside_fields():
    got = report(line(agent=r'a \" 999 - \" b'), line(agent="end\\\\"), line(request=r'GET /\"x\" HTTP/1.1'))
    assert (got["requests"], got["bad_lines"]) == (3, 0)


def test_bad_lines_are_counted():
    bads = [
        line() + " ", line() + " more", line(status="600"), line(status="99"), line(status="20"), line(size="-5"),
        line(ms="1."), line(ms="-1"), line(ms="1e3"), line(request="GET /a"), line(request="GET /a b HTTP/1.1"),
        line(request=""), line(agent='a"b'), "garbage", line().replace("[", ""), line()[:-8], line().replace(" - - ", " - "),
    ]
    got = report(line(), *bads, line())
    assert (got["requests"], got["bad_lines"]) == (2, len(bads))


def test_addresses_are_counted_once():
    got = report(line("::1"), line("::1"), line("1.1.1.1"), line("fe80::1%eth0"))
    assert got["clients"] == 3


def test_gzip_and_several_files():
    report(line(size="7"), name="a.log")
    report(line(size="-"), line(size="30"), name="b.log.gz")
    got = json.loads(run(str(TMP / "a.log"), str(TMP / "b.log.gz")).stdout)
    assert (got["requests"], got["bytes"]) == (3, 37)


def test_bytes_that_are_no_text_do_not_stop_it():
    got = report(line(agent="\udcff\udcfe"), "\udcff\udcc0 broken", line())
    assert (got["requests"], got["bad_lines"]) == (2, 1)


def test_a_missing_file_and_no_file():
    report(line(), name="there.log")
    for args in ([str(TMP / "there.log"), str(TMP / "none.log")], []):
        done = run(*args)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.strip() and "Traceback" not in done.stderr
