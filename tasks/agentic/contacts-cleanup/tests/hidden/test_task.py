import json
import subprocess
import sys
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


def clean(**files):
    folder = Path(tempfile.mkdtemp())
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    (folder / "sub").mkdir()
    (folder / "sub" / "x.csv").write_text("Name;E-Mail;Phone\nSub;sub@x.org;\n")
    (folder / "notes.txt").write_text("Name;E-Mail;Phone\nText;text@x.org;\n")
    done = subprocess.run([sys.executable, "clean.py", str(folder)], capture_output=True, timeout=60, env=ENV)
    assert done.returncode == 0, done.stderr.decode()[-300:]
    return done.stdout.decode().splitlines()


def people(**files):
    return [json.loads(line) for line in clean(**files)]


def test_the_samples():
    done = subprocess.run([sys.executable, "clean.py", "raw"], capture_output=True, timeout=60, env=ENV)
    assert done.stdout.decode() == (
        '{"name":"Ada Lovelace","emails":["ada@example.org","ada@work.example"],"phones":["+491715555555"],"sources":["crm.csv","shop.json"]}\n'
        '{"name":"Bo Smith","emails":[],"phones":["+49301234567"],"sources":["crm.csv"]}\n'
        '{"name":"Zoë","emails":[],"phones":["+49307654321"],"sources":["shop.json"]}\n'
    )


def test_mails_that_count():
    cell = "a@b.c, A@B.C x@y  p@q@r.s @n.o m@ two.dots@in.the.name"
    (got,) = people(a_csv=f"Name;E-Mail;Phone\nX;{cell};\n")
    assert got["emails"] == ["a@b.c", "two.dots@in.the.name"]
    assert people(a_json=[{"last": "X", "mail": " A@b.c "}, {"last": "Y", "mail": "d@e.f g@h.i"}])[0]["emails"] == ["a@b.c"]
    assert len(people(a_json=[{"last": "X", "mail": " A@b.c "}, {"last": "Y", "mail": "d@e.f g@h.i"}])) == 1


def test_phones_that_count():
    tel = ["+1 (555) 123-4567", "0015551234567", "030 123456", "1234567890", "+123", "+1234567890123456", "00 49 30 999999", "0 (49) 12345"]
    (got,) = people(a_json=[{"last": "X", "tel": tel}])
    assert got["phones"] == ["+15551234567", "+493012345" + "6", "+4930999999", "+494912345"]


def test_one_string_as_tel_and_nulls():
    got = people(a_json=[{"first": None, "last": "X", "mail": None, "tel": "+4912345678"}, {"tel": None}, {}])
    assert got == [{"name": "X", "emails": [], "phones": ["+4912345678"], "sources": ["a.json"]}]


def test_chains_are_one_person():
    got = people(
        a_csv="Phone;Name;E-Mail\n+4911111111;Al;a@x.org\n;Bea;c@x.org\n+4922222222;Alfred;\n",
        b_json=[{"first": "Al", "last": "F.", "mail": "c@x.org", "tel": ["+4911111111", "+4922222222"]}],
    )
    assert got == [{"name": "Alfred", "emails": ["a@x.org", "c@x.org"], "phones": ["+4911111111", "+4922222222"], "sources": ["a.csv", "b.json"]}]


def test_a_late_link_joins_two_groups():
    rows = "".join(f"P{n};p{n}@x.org;\n" for n in range(6))
    got = people(a_csv="Name;E-Mail;Phone\n" + rows + "Q;p0@x.org p5@x.org;\nR;p1@x.org,p2@x.org;\nS;p2@x.org p5@x.org;\n")
    assert [len(p["emails"]) for p in got] == [4, 1, 1]


def test_equal_names_are_not_one_person():
    got = people(a_csv="Name;E-Mail;Phone\nX;b@x.org;\nX;a@x.org;\nx;;+4912345678\n")
    assert [p["emails"] for p in got] == [[], ["a@x.org"], ["b@x.org"]]


def test_names():
    got = people(a_csv="Name;E-Mail;Phone\n  de la  Cruz ,  Ana\u00a0 Maria ;a@x.org;\nZoe\u0308;z@x.org;\n")
    assert [p["name"] for p in got] == ["Ana Maria de la Cruz", "Zo\u00eb"]
    (tie,) = people(b_csv="Name;E-Mail;Phone\nBob;a@x.org;\n", a_csv="Name;E-Mail;Phone\nRob;a@x.org;\nBo;a@x.org;\n")
    assert tie["name"] == "Rob"


def test_the_order():
    got = people(a_csv="Name;E-Mail;Phone\nbob;b@x.org;\nAnn;c@x.org;\nBOB;a@x.org;\nStraße;d@x.org;\nStrasse;a@y.org;\nzoë;e@x.org;\n")
    assert [p["name"] for p in got] == ["Ann", "BOB", "bob", "Strasse", "Straße", "zoë"]


def test_a_bom_and_quoted_cells():
    got = people(a_csv='\ufeffName;E-Mail;Phone\n"Doe; Jr, Jo";j@x.org;\n')
    assert got[0]["name"] == "Jo Doe; Jr"


def test_nothing_gives_nothing():
    assert clean(a_json=[], b_csv="Name;E-Mail;Phone\nX;;\n") == []
