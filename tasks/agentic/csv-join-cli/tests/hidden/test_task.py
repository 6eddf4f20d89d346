import csv
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def run(left, right, *args):
    folder = Path(tempfile.mkdtemp())
    for name, body in (("left", left), ("right", right)):
        if body is not None:
            (folder / f"{name}.csv").write_bytes(body if isinstance(body, bytes) else body.encode())
    argv = [sys.executable, "csvjoin.py", str(folder / "left.csv"), str(folder / "right.csv"), *args]
    done = subprocess.run(argv, capture_output=True, timeout=60, env=ENV)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def joined(left, right, *args):
    code, out, err = run(left, right, *args)
    assert code == 0, err
    return out


def failed(left, right, *args):
    code, out, err = run(left, right, *args)
    assert (code, out, len(err.splitlines())) == (1, "", 1) and err.startswith("csvjoin: "), (code, out, err)
    return err


PEOPLE, TEAMS = (Path("sample", name).read_text() for name in ("people.csv", "teams.csv"))


def test_inner_with_several_matches_and_a_clash_of_names():
    assert joined(PEOPLE, TEAMS, "--on", "team") == (
        'id,name,team,right_name,city\n1,Ann,red,Reds,Oslo\n1,Ann,red,Old Reds,Bergen\n2,"Bo, junior",blue,Blues,Rome\n'
    )


def test_left_keeps_rows():
    assert joined(PEOPLE, TEAMS, "--on", "team", "--how", "left").splitlines()[-1] == "3,Cy,,,"


def test_full_appends_what_matched_nothing():
    got = joined(PEOPLE, TEAMS + ",Nobody,Nowhere\n", "--on", "team", "--how", "full", "--prefix", "t.").splitlines()
    assert got[0] == "id,name,team,t.name,city" and got[-3:] == ["3,Cy,,,", ",,green,Greens,Bern", ",,,Nobody,Nowhere"]


def test_other_key_names_and_two_keys():
    got = joined("a,b,v\n1,x,p\n1,y,q\n", "w,B,A\nr,y,1\ns,x,2\n", "--on", "a,b", "--right-on", "A,B", "--how", "full")
    assert got == "a,b,v,w\n1,x,p,\n1,y,q,r\n2,x,,s\n"


def test_keys_are_stripped_and_values_kept():
    assert joined("k,v\n a ,1\n", "k,w\na,  2 \n", "--on", "k") == "k,v,w\n a ,1,  2 \n"
    assert joined("k,v\n01,1\n", "k,w\n1,2\n", "--on", "k") == "k,v,w\n"


def test_empty_keys_never_match():
    assert joined("k,j,v\n,a,1\n  ,a,2\n", "k,j,w\n,a,3\n", "--on", "k,j") == "k,j,v,w\n"


def test_prefix_again_and_again():
    assert joined("k,x,right_x\n1,2,3\n", "k,x\n1,4\n", "--on", "k") == "k,x,right_x,right_right_x\n1,2,3,4\n"
    assert joined("k,x\n1,2\n", "k,right_x,x\n1,4,5\n", "--on", "k") == "k,x,right_x,right_right_x\n1,2,4,5\n"


def test_bom_crlf_quotes_and_line_breaks():
    got = joined("\ufeffk,v\r\n1,\"a\r\nb\"\r\n2,\"say \"\"x\"\"\"\r\n", "k,w\r\n1,ü\r\n2,\r\n", "--on", "k")
    assert got == 'k,v,w\n1,"a\r\nb",ü\n2,"say ""x""",\n'


def test_short_rows_are_filled_and_long_rows_named():
    assert joined("k,v,u\n1\n", "k,w\n1,2\n", "--on", "k") == "k,v,u,w\n1,,,2\n"
    said = failed('k,v\n1,"a\nb"\n2,"c\nd",e\n', "k,w\n", "--on", "k")
    assert "left.csv" in said and "4" in said.replace("/tmp/", "").split("left.csv")[1] and "5" not in said.split("left.csv")[1]


def test_errors():
    assert "right.csv" in failed("k\n1\n", None, "--on", "k")
    assert "left.csv" in failed("", "k\n", "--on", "k")
    assert "zz" in failed("k,v\n", "k,w\n", "--on", "zz")
    assert "v" in failed("k,v\n", "k,w\n", "--on", "v")
    assert "w" in failed("k,v\n", "k,w,w\n", "--on", "k")
    failed("k,v\n", "k,w\n", "--on", "k,v", "--right-on", "k")
    assert run("k\n", "k\n")[0] == 2
    assert run("k\n", "k\n", "--on", "k", "--how", "outer")[0] == 2


def test_output_is_whole_or_not_there():
    folder = Path(tempfile.mkdtemp())
    out = folder / "out.csv"
    assert run("k,v\n1,2\n", "k,w\n1,3\n", "--on", "k", "--output", str(out)) == (0, "", "")
    assert out.read_bytes() == b"k,v,w\n1,2,3\n"
    assert run("k,v\n1,2,3\n", "k,w\n", "--on", "k", "--output", str(out))[0] == 1
    assert run("k,v\n1,2\n", "k,w\n1,2,3\n", "--on", "k", "--output", str(out))[0] == 1
    assert out.read_bytes() == b"k,v,w\n1,2,3\n" and os.listdir(folder) == ["out.csv"]


def test_many_rows():
    count = 60_000
    left = "k,v\n" + "".join(f"{n},a\n" for n in range(count))
    right = "k,w\n" + "".join(f"{n},b\n" for n in range(count - 1, -1, -1))
    rows = list(csv.reader(io.StringIO(joined(left, right, "--on", "k"))))
    assert len(rows) == count + 1 and rows[1] == ["0", "a", "b"] and rows[-1] == [str(count - 1), "a", "b"]
