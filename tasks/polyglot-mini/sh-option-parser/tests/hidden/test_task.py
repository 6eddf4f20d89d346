import subprocess

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
SPEC = "v,verbose o:,output: long-only n: x version"


def run(*args):
    done = subprocess.run(["sh", "options.sh", *args], capture_output=True, text=True, timeout=60, env=ENV)
    return done.returncode, done.stdout, done.stderr


def parse(*args, spec=SPEC):
    code, out, err = run(spec, *args)
    assert (code, err) == (0, ""), err
    return out.split("\n")[:-1]


def bad(*args, says, spec=SPEC):
    code, out, err = run(spec, *args)
    return (code, out, len(err.splitlines())) == (1, "", 1) and says in err.split()


def test_short_and_long():
    assert parse("-v", "--verbose", "-o", "f", "--output", "g", "--output=h", "-n1", "-x") == ["verbose", "verbose", "output=f", "output=g", "output=h", "n=1", "x"]


def test_joined():
    assert parse("-vx", "-vofile", "-xvo", "f", "-nv") == ["verbose", "x", "verbose", "output=file", "x", "verbose", "output=f", "n=v"]


def test_others_come_last():
    assert parse("a", "-v", "b", "-o", "c", "d") == ["verbose", "output=c", ":a", ":b", ":d"] and parse() == [] and parse("") == [":"]


def test_the_end_of_options():
    assert parse("-v", "--", "-x", "--", "--output") == ["verbose", ":-x", ":--", ":--output"] and parse("-", "-x") == ["x", ":-"] and parse("-o", "--", "-v") == ["output=--", "verbose"]


def test_values_of_all_kinds():
    assert parse("-o", "-v", "--output=", "--output", "", "-n", "*", "--output=a=b", "-o=c", "-n", "a  b", "-n\\n", "-n", "$HOME") == ["output=-v", "output=", "output=", "n=*", "output=a=b", "output==c", "n=a  b", "n=\\n", "n=$HOME"]


def test_names_cut_short():
    assert parse("--out", "f", "--lo", "--verb", "--vers", "--o=1") == ["output=f", "long-only", "verbose", "version", "output=1"]
    assert bad("--ver", says="--ver") and bad("--v", says="--v") and parse("--all", spec="all all-of-it") == ["all"] and parse("--all", spec="all-of-it all") == ["all"]


def test_two_long_names_of_one_option():
    assert parse("--colour", "--color", "-c", "--col", spec="c,colour,color") == ["color"] * 4


def test_unknown():
    assert bad("-z", says="-z") and bad("-vz", says="-z") and bad("--nope", says="--nope") and bad("--nope=1", says="--nope") and bad("a", "--x", says="--x") and bad("-*", says="-*") and bad("--verbos*", says="--verbos*")


def test_values_missing_or_too_many():
    assert bad("-o", says="-o") and bad("-vo", says="-o") and bad("--output", says="--output") and bad("--out", says="--out") and bad("--verbose=1", says="--verbose") and bad("--long-only=", says="--long-only")


def test_no_spec():
    code, out, err = run()
    assert (code, out) == (2, "") and err and parse("a", spec="") == [":a"] and bad("-v", says="-v", spec="")
