import subprocess
import sys
import tempfile
from pathlib import Path

from ratchet_check import RemoteError, remote

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
DRIVER = '''
from datetime import datetime
from cron import next_runs

def ask(text, start, count): return [[t.strftime("%Y-%m-%d %H:%M"), c] for t, c in next_runs(text, datetime.fromisoformat(start), count)]
'''
Path("/tmp/driver.py").write_text(DRIVER)
ask = remote("/tmp/driver.py", "ask", seconds=20)


def times(fields, start="2026-01-01T00:00", count=3):
    return [time for time, _ in ask(f"{fields} x\n", start, count)]


def days(fields, count=3, start="2026-01-01T00:00"):
    return [time[5:10] for time in times(f"0 12 {fields}", start, count)]


def refused(line, number=1):
    try:
        ask(line, "2026-01-01T00:00", 1)
    except RemoteError as error:
        return error.type == "CronError" and error.message.startswith(f"line {number}: ")
    return False


def test_every_minute_after_the_start():
    assert times("* * * * *", "2026-12-31T23:58:59") == ["2026-12-31 23:59", "2027-01-01 00:00", "2027-01-01 00:01"]


def test_lists_ranges_and_steps():
    assert times("5,10-12,50/5 3 * * *", count=7) == [f"2026-01-01 03:{m:02}" for m in (5, 10, 11, 12, 50, 55)] + ["2026-01-02 03:05"]
    assert times("*/25 0-6/3 * * *", "2025-12-31T23:59", count=4) == ["2026-01-01 00:00", "2026-01-01 00:25", "2026-01-01 00:50", "2026-01-01 03:00"]
    assert times("0 20/2 * * *") == ["2026-01-01 20:00", "2026-01-01 22:00", "2026-01-02 20:00"]
    assert times("7-7 0 * * *", count=1) == ["2026-01-01 00:07"] and times("0,0,0 1 1 1 *", count=2) == ["2026-01-01 01:00", "2027-01-01 01:00"]


def test_names():
    assert days("1 Feb,MAR-apr *") == ["02-01", "03-01", "04-01"]
    assert days("* * Mon,wed") == ["01-05", "01-07", "01-12"]


def test_weekdays():
    assert days("* * 0") == days("* * 7") == days("* * sun") == ["01-04", "01-11", "01-18"]
    assert days("* * fri-mon", 5) == ["01-02", "01-03", "01-04", "01-05", "01-09"]
    assert days("* * 5-7", 4) == ["01-02", "01-03", "01-04", "01-09"] and days("* * 0-7") == ["01-01", "01-02", "01-03"]
    assert days("* * sat-sun", 3) == ["01-03", "01-04", "01-10"]
    assert days("* * fri-mon/2", 3) == ["01-02", "01-04", "01-09"] and days("* * 4/2") == ["01-01", "01-03", "01-08"] and days("* * */3") == ["01-03", "01-04", "01-07"]


def test_day_of_month_or_weekday():
    assert days("13 * fri") == ["01-02", "01-09", "01-13"]
    assert days("*/2 * fri", 3) == ["01-09", "01-23", "02-13"]
    assert days("13 * *") == ["01-13", "02-13", "03-13"] and days("1-7 * */7") == ["01-04", "02-01", "03-01"]


def test_the_last_day():
    assert days("L * *", 4) == ["01-31", "02-28", "03-31", "04-30"] and days("L 2 *", 1, "2027-12-01T00:00") == ["02-29"]
    assert days("L * mon") == ["01-05", "01-12", "01-19"]


def test_numbered_weekdays():
    assert days("* * fri#2") == ["01-09", "02-13", "03-13"] and days("* * 0#1,7#3") == ["01-04", "01-18", "02-01"]
    assert days("* * 5#5") == ["01-30", "05-29", "07-31"] and days("* * friL") == ["01-30", "02-27", "03-27"] and days("* * 0l") == ["01-25", "02-22", "03-29"]
    assert days("1 * mon#1") == ["01-01", "01-05", "02-01"]


def test_rare_and_never():
    assert times("0 0 29 2 *", count=3) == ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]
    assert times("0 0 29 2 *", "2096-03-01T00:00", 1) == ["2104-02-29 00:00"]
    assert times("0 0 29 feb mon", "2026-02-24T00:00", 1) == ["2027-02-01 00:00"]
    assert times("0 0 30 2 *") == [] and times("0 0 31 4,6,9,11 *") == [] and times("0 0 * 2 *", "9999-12-30T00:00") == []
    assert times("0 0 29 2 */7", "2026-01-01T00:00", 1) == ["2032-02-29 00:00"]


def test_several_entries_in_order():
    text = "# jobs\n\n  0 6 * * *   six  o'clock \n0 5 * * * five # no comment\n@daily day\n\t# more\n0 6 * * * six too\n"
    got = ask(text, "2026-01-01T00:00", 5)
    assert got == [["2026-01-01 05:00", "five # no comment"], ["2026-01-01 06:00", "six  o'clock"], ["2026-01-01 06:00", "six too"], ["2026-01-02 00:00", "day"], ["2026-01-02 05:00", "five # no comment"]]
    assert ask(text + "0 0 30 2 * never\n", "2026-01-01T00:00", 1)[0][1].startswith("five") and ask("", "2026-01-01T00:00", 3) == []


def test_nicknames():
    text = "@hourly h\n@weekly w\n@monthly m\n@yearly y\n"
    got = ask(text, "2026-12-31T22:30", 6)
    assert got == [["2026-12-31 23:00", "h"], ["2027-01-01 00:00", "h"], ["2027-01-01 00:00", "m"], ["2027-01-01 00:00", "y"], ["2027-01-01 01:00", "h"], ["2027-01-01 02:00", "h"]]
    assert ask("@weekly w w", "2026-01-01T00:00", 1) == [["2026-01-04 00:00", "w w"]]


def test_errors():
    bad = ["60 * * * * x", "* 24 * * * x", "* * 0 * * x", "* * 32 * * x", "* * * 13 * x", "* * * 0 * x", "* * * * 8 x", "* * * * *", "* * * *", "x * * * * x", "5-1 * * * * x", "*/0 * * * * x", "*/x * * * * x",
           "1, * * * * x", "-1 * * * * x", "1- * * * * x", "* * * dec-jan * x", "* * * foo * x", "* * L,5 * * x", "* * * * fri#6 x", "* * * * fri#0 x", "* * * * L x", "@often x", "@daily", "1/2/3 * * * * x", "mon * * * * x", "1.5 * * * * x"]
    assert [line for line in bad if not refused(line)] == []
    assert refused("# fine\n\n* * * * * x\n99 * * * * x", 4)


def test_the_command():
    file = Path(tempfile.mkdtemp()) / "tab"

    def run(text, *args):
        file.write_text(text)
        argv = [sys.executable, "-m", "cron", str(file), "--from", "2026-02-28T12:30", *args]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=ENV)
        return done.returncode, done.stdout, done.stderr

    assert run("30 12 * * * a b\n", "--count", "2") == (0, "2026-03-01T12:30 a b\n2026-03-02T12:30 a b\n", "")
    assert len(run("@hourly h\n")[1].splitlines()) == 5
    code, out, err = run("@hourly h\n* * *\n")
    assert (code, out, err[:8], len(err.splitlines())) == (2, "", "line 2: ", 1)
