import json
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
T = "Traceback (most recent call last):"


def run(*paths):
    done = subprocess.run([sys.executable, "digest.py", *map(str, paths)], capture_output=True, text=True, timeout=60, env=ENV)
    assert done.returncode == 0, done.stderr[-300:]
    return done.stdout


def digest(*texts):
    folder = Path(tempfile.mkdtemp())
    paths = []
    for n, text in enumerate(texts):
        paths.append(folder / str(n))
        paths[-1].write_bytes(text if isinstance(text, bytes) else text.encode())
    return json.loads(run(*paths))


def error(time, message="x", where="s/t", *more):
    return "\n".join([f"2026-01-01T{time} ERROR [{where}] {message}", *more]) + "\n"


def test_the_sample():
    view = {"service": "web", "type": "KeyError", "place": "/srv/web/views.py:77 in view", "count": 2, "bursts": 1, "threads": ["1", "2"],
            "first": "2026-11-23T05:00:00.250Z", "last": "2026-11-23T05:00:59.999Z", "before": "request 17"}
    rows = {"service": "db", "type": "message", "place": "N of N rows lost", "count": 1, "bursts": 1, "threads": ["main"],
            "first": "2026-11-23T05:01:30.000Z", "last": "2026-11-23T05:01:30.000Z", "before": "slow"}
    text = run("logs/app.log")
    assert json.loads(text) == {"errors": 3, "groups": [view, rows]}
    assert text.strip() == json.dumps({"errors": 3, "groups": [view, rows]}, indent=2)


def test_zones_and_files_are_put_in_order_of_time():
    got = digest(error("12:00:00+02:00", "b 1"), "2026-01-01T09:59:59Z INFO [s/t] from the other file\n" + error("05:30:00-04:30", "a", "s/t"))
    assert [(g["place"], g["before"]) for g in got["groups"]] == [("b N", "from the other file"), ("a", "b 1")]
    assert got["groups"][0]["first"] == "2026-01-01T10:00:00.000Z"


def test_equal_times_go_by_argument_and_line():
    got = digest(error("10:00:00.5Z", "one"), error("10:00:00.500000Z", "two") + error("11:00:00.50+01:00", "three"))
    assert [(g["place"], g["before"]) for g in got["groups"]] == [("one", None), ("two", "one"), ("three", "two")]


def test_bursts_end_after_sixty_seconds():
    text = "".join(error(f"10:0{t}Z") for t in ("0:00", "0:59.999", "1:59.998", "2:59.998", "3:59.9979999"))
    assert digest(text)["groups"][0]["bursts"] == 2
    assert digest(error("10:00:00.000Z") + error("10:01:00.000Z"))["groups"][0]["bursts"] == 2


def test_the_last_traceback_counts_up_to_its_first_plain_line():
    more = [T, '  File "a.py", line 1, in f', "    x", "ValueError: a: b", "", "During:", T, '  File "b c.py", line 22, in <module>', "    y()", '  File "d.py", line 3, in g', "    ^^^^", "lib.Odd", "trailing", '  File "z.py", line 9, in z']
    (group,) = digest(error("10:00:00Z", "m", "s/t", *more))["groups"]
    assert (group["type"], group["place"]) == ("lib.Odd", "d.py:3 in g")


def test_a_message_with_colons():
    (group,) = digest(error("10:00:00Z", "m", "s/t", T, '  File "a.py", line 1, in f', "    x", "pkg.E: a: b", "second: line"))["groups"]
    assert (group["type"], group["place"]) == ("pkg.E", "a.py:1 in f")


def test_grouping_by_service_type_and_place():
    frames = [T, '  File "a.py", line 1, in f', "    x"]
    text = (error("10:00:00Z", "m", "s/t", *frames, "A: 1") + error("10:00:01Z", "other", "s/u", *frames, "A: 2")
            + error("10:00:02Z", "m", "r/t", *frames, "A: 1") + error("10:00:03Z", "m", "s/t", *frames, "B: 1"))
    assert [(g["service"], g["type"], g["count"], g["threads"]) for g in digest(text)["groups"]] == [("s", "A", 2, ["t", "u"]), ("r", "A", 1, ["t"]), ("s", "B", 1, ["t"])]


def test_only_errors_are_grouped_and_before_is_of_the_thread():
    text = "noise first\n2026-01-01T09:00:00Z WARN [s/t] careful\n" + T + "\n2026-01-01T09:00:00.1Z INFO [s/u] elsewhere\n2026-01-01T09:00:00.2Z INFO [r/t] elsewhere\n" + error("10:00:00Z", "e 5") + error("10:00:01Z", "e 66") + "2026-01-01T11:00:00Z DEBUG [s/t] end\n"
    got = digest(text)
    assert got["errors"] == 2 and [(g["before"], g["count"]) for g in got["groups"]] == [("careful", 2)]


def test_what_is_no_record():
    text = error("10:00:00Z", "a") + "2026-01-01 10:00:01Z ERROR [s/t] space\n2026-01-01T10:00:02 ERROR [s/t] no zone\n2026-01-01T10:00:03Z FATAL [s/t] level\n 2026-01-01T10:00:04Z ERROR [s/t] indented\n"
    assert digest(text)["errors"] == 1


def test_line_ends_and_broken_bytes():
    got = digest(error("10:00:00Z", "a\u2028b").replace("\n", "\r\n").encode() + b"\xff\xfe\r\n" + error("10:00:01Z", "c").encode())
    assert [g["place"] for g in got["groups"]] == ["a\u2028b", "c"]


def test_milliseconds_are_cut():
    (group,) = digest(error("23:59:59.9999999Z"))["groups"]
    assert group["first"] == "2026-01-01T23:59:59.999Z"


def test_order_by_count_then_first():
    text = error("10:00:00Z", "late a") + error("10:00:01Z", "b") + error("10:00:02Z", "c") + error("10:00:03Z", "c")
    assert [g["place"] for g in digest(text)["groups"]] == ["c", "late a", "b"]


def test_nothing():
    assert digest("") == {"errors": 0, "groups": []}
