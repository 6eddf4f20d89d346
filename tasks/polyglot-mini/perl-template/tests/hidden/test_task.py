import subprocess
import tempfile
from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


def run(*args):
    done = subprocess.run(["perl", "fill.pl", *args], capture_output=True, timeout=60, env=ENV)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def template(text):
    path = Path(tempfile.mkdtemp()) / "t"
    path.write_text(text)
    return str(path)


def fill(text, *pairs):
    code, out, err = run(template(text), *pairs)
    assert (code, err) == (0, ""), err
    return out


def bad(text, line, *pairs):
    code, out, err = run(template(text), *pairs)
    return (code, out, len(err.splitlines())) == (1, "", 1) and f"line {line}" in err


def test_the_letter():
    assert run("letter.txt", "items=tea") == (0, "Dear customer,\nyou bought tea.\n", "") and run("letter.txt", "name=Jo") == (0, "Dear Jo,\nnothing today.\n", "")


def test_escapes():
    assert fill("{{a}} {{{a}}} { {a} }", 'a=<&"\'>') == '&lt;&amp;&quot;\'&gt; <&"\'> { {a} }' and fill("{{a|<b>}}{{{a|<&>}}}{{a|}}") == "<b><&>"


def test_keys_and_values():
    assert fill("{{ a-1 }}{{B_}}{{  B_ | x }}{{c| y }}", "a-1=x=y", "B_=1", "B_=2\n3") == "x=y2\n32\n3 y "
    assert fill("{{a}}", "a=") == "" and fill("{{a|d}}", "a=") == "" and fill("{{a}}", "a=ü") == "ü"


def test_blocks():
    assert [fill("<{{#a}}yes{{/a}}{{^a}}no{{/a}}>", *p) for p in ([], ["a="], ["a=0"], ["a=00"], ["a= "])] == ["<no>", "<no>", "<no>", "<yes>", "<yes>"]
    assert fill("{{#a}}1{{#b}}2{{/b}}{{^b}}3{{#a}}4{{/a}}{{/b}}{{/a}}5", "a=1") == "1345"


def test_left_out_blocks_ask_for_nothing():
    assert fill("{{#a}}{{b}}{{#c}}{{{d}}}{{/c}}{{/a}}.") == "." and fill("{{^a}}{{b}}{{/a}}", "a=1") == ""


def test_lines_that_vanish():
    assert fill("1\n  {{#a}}  \n2\n\t{{/a}}\n3\n{{^a}}\n4\n{{/a}}", "a=1") == "1\n2\n3\n" and fill("x {{#a}}\ny\n{{/a}} z\n", "a=1") == "x \ny\n z\n"
    assert fill("{{#a}} {{/a}}\n", "a=1") == " \n" and fill("a\r\n{{#a}}\r\nb\r\n{{/a}}\r\n", "a=1") == "a\r\nb\r\n"


def test_nothing_is_looked_at_twice():
    assert fill("{{a}}{{{b}}}", "a={{b}}", "b=\\{{x}} $1 \\1 @y") == "{{b}}\\{{x}} $1 \\1 @y"


def test_a_backslash_before_a_mark():
    assert fill("\\{{a}} \\n \\\\ \\{a {{a}}", "a=1") == "{{a}} \\n \\\\ \\{a 1" and fill("{{^x}}\\{{#x}}{{/x}}") == "{{#x}}"


def test_errors_name_the_line():
    assert bad("1\n{{a}}", 2) and bad("\n\n{{#a}}\n", 3) and bad("{{/a}}", 1) and bad("{{#a}}\n{{#b}}\n{{/a}}\n{{/b}}", 3) and bad("{{#no}}\n{{#b}}{{/c}}{{/no}}", 2)
    assert bad("{{a b}}", 1, "a=1") and bad("{{}}", 1) and bad("\n{{ü}}", 2) and bad("{{a", 1, "a=1") and bad("{{#a|x}}{{/a}}", 1) and bad("a\n{{#no}}\n{{ ! }}\n{{/no}}", 3)


def test_wrong_arguments():
    for args in ([], ["/nowhere"], ["letter.txt", "name"], ["letter.txt", "a b=1"], ["letter.txt", "=1"]):
        code, out, err = run(*args)
        assert (code, out) == (2, "") and err, args
