import os
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "TZ": "America/New_York"}
HEAD = "window\thost\tmetric\tcount\tmin\tmax\tmean\tp50\tgaps"


def run(*args):
    done = subprocess.run([sys.executable, "rollup.py", *args], capture_output=True, text=True, timeout=60, env=ENV)
    return done.returncode, done.stdout.splitlines(), done.stderr.strip()


def roll(*texts, args=()):
    folder = Path(tempfile.mkdtemp())
    for n, text in enumerate(texts):
        (folder / str(n)).write_text(text)
    code, out, err = run(*args, *[str(folder / str(n)) for n in range(len(texts))])
    assert code == 0 and out[0] == HEAD, (code, out, err)
    return [line.split("\t") for line in out[1:]], err


def test_the_samples():
    expected = [
        "2026-11-22T23:55:00Z web1 load 1 0.500 0.500 0.500 0.500 0", "2026-11-23T00:00:00Z web1 load 2 0.850 1.250 1.050 1.050 0",
        "2026-11-23T00:00:00Z web1 requests_total 2 10.000 25.000 17.500 17.500 0", "2026-11-23T00:15:00Z web1 load 1 2.000 2.000 2.000 2.000 2",
        "2026-11-23T00:15:00Z web1 requests_total 1 5.000 5.000 5.000 5.000 2",
    ]
    for order in (["22", "23"],):
        code, out, err = run(*[f"data/2026-11-{day}.csv" for day in order])
        assert (code, out, err) == (0, [HEAD, *(line.replace(" ", "\t") for line in expected)], "11 lines, 2 skipped")


def test_the_last_of_equal_measurements_counts():
    a, b = "0,h,m,1\n0,h,m,2\n", "0,h,m,3\n1,h,m,5\n"
    assert roll(a, b)[0][0][3:8] == ["2", "3.000", "5.000", "4.000", "4.000"]
    assert roll(b, a)[0][0][3:8] == ["2", "2.000", "5.000", "3.500", "3.500"]


def test_widths_and_windows_before_1970():
    rows, _ = roll("-1,h,m,1\n0,h,m,2\n59,h,m,3\n60,h,m,4\n", args=["--width", "60"])
    assert [(r[0], r[3], r[8]) for r in rows] == [("1969-12-31T23:59:00Z", "1", "0"), ("1970-01-01T00:00:00Z", "2", "0"), ("1970-01-01T00:01:00Z", "1", "0")]
    assert run("--width", "0", "data/2026-11-22.csv")[0] == 2


def test_counters_over_windows_files_and_resets():
    rows, _ = roll("600,h,c_total,7\n0,h,c_total,10\n", "300,h,c_total,15\n900,h,c_total,7\n0,g,c_total,100\n", "1200,h,c_total,0\n")
    assert [(r[0][11:16], r[1], r[4]) for r in rows] == [("00:05", "h", "5.000"), ("00:10", "h", "7.000"), ("00:15", "h", "0.000"), ("00:20", "h", "0.000")]


def test_a_corrected_counter_is_taken_as_corrected():
    rows, _ = roll("0,h,c_total,10\n10,h,c_total,99\n20,h,c_total,30\n10,h,c_total,25\n")
    assert rows[0][3:8] == ["2", "5.000", "15.000", "10.000", "10.000"]


def test_what_is_skipped():
    bad = ["", "1,h,m", "1,h,m,1,2", "1.0,h,m,1", "x,h,m,1", "1,,m,1", "1,h, ,1", "1,h,m,", "1,h,m,nan", "1,h,m,inf", "1,h,m,-Infinity", "1,h,m,1_000", "1,h,m,0x10", "1,h,m,1 2", "1,h,m,1e"]
    good = ["1,h,a,1", " 1 , h , b , 1e3 ", "1,h,c,-2.5", "1,h,d,0.5", "1,h,e,-1E-1", "01,h,f,007"]
    rows, said = roll("\n".join(bad + good) + "\n")
    assert said == f"{len(bad) + len(good)} lines, {len(bad)} skipped"
    assert [(r[2], r[4]) for r in rows] == [("a", "1.000"), ("b", "1000.000"), ("c", "-2.500"), ("d", "0.500"), ("e", "-0.100"), ("f", "7.000")]


def test_rounding_half_to_even_on_decimals():
    rows, _ = roll("".join(f"{n},h,m{n},{v}\n" for n, v in enumerate(["0.0005", "0.0015", "2.6745", "1.0005", "-0.0004", "-0.0015"])))
    assert [r[4] for r in rows] == ["0.000", "0.002", "2.674", "1.000", "0.000", "-0.002"]
    rows, _ = roll("0,h,m,0.1\n1,h,m,0.2\n2,h,m,0.3015\n")
    assert rows[0][6] == "0.200"
    assert roll("0,h,m,123456789012345678.0005\n1,h,m,123456789012345678.0007\n")[0][0][6] == "123456789012345678.001"


def test_medians():
    rows, _ = roll("".join(f"{n},h,m,{v}\n" for n, v in enumerate([9, 1, 10, 2, 3])))
    assert rows[0][7] == "3.000"
    assert roll("0,h,m,1\n1,h,m,2\n2,h,m,10\n3,h,m,20\n")[0][0][7] == "6.000"


def test_gaps_are_of_the_series():
    rows, _ = roll("0,h,m,1\n300,h,n,1\n900,h,m,1\n1200,h,m,1\n1500,h,n,1\n")
    assert [(r[2], r[8]) for r in rows] == [("m", "0"), ("n", "0"), ("m", "2"), ("m", "0"), ("n", "3")]


def test_order():
    rows, _ = roll("300,b,m,1\n0,b,z,1\n0,b,a,1\n0,a,z,1\n0,B,z,1\n")
    assert [(r[1], r[2]) for r in rows] == [("B", "z"), ("a", "z"), ("b", "a"), ("b", "z"), ("b", "m")]


def test_out_and_missing_files():
    folder = Path(tempfile.mkdtemp())
    (folder / "a").write_text("0,h,m,1\n")
    assert run("--out", str(folder / "o"), str(folder / "a")) == (0, [], "1 lines, 0 skipped")
    assert (folder / "o").read_bytes().startswith(HEAD.encode() + b"\n1970-01-01T00:00:00Z\th\tm\t1\t")
    code, out, err = run("--out", str(folder / "p"), str(folder / "a"), str(folder / "none"))
    assert (code, out) == (2, []) and err and not os.path.exists(folder / "p") and "Traceback" not in err
    assert run()[0] == 2
