import subprocess

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


def run(text, cols):
    done = subprocess.run(["awk", "-v", f"cols={cols}", "-f", "columns.awk"], input=text.encode(), capture_output=True, timeout=60, env=ENV)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def cut(text, cols):
    code, out, err = run(text, cols)
    assert (code, err) == (0, ""), err
    return out


def test_order_and_repetition():
    assert cut("a,b,c\n1,2,3\n", "c,a") == "c,a\n3,1\n" and cut("a,b\n1,2\n", "b,b,a") == "b,b,a\n2,2,1\n"


def test_quotes():
    assert cut('a,b\n"1,5","say ""hi"""\n"x",""\n', "b,a") == 'b,a\n"say ""hi""","1,5"\n,x\n'


def test_quotes_inside_unquoted_fields():
    assert cut('a,b\nx"y,5"\n a "b" ,2\n', "a,b") == 'a,b\n"x""y","5"""\n" a ""b"" ",2\n'


def test_line_breaks_in_fields():
    assert cut('a,b\n"one\n\ntwo",2\n"""\n",3\n', "b,a") == 'b,a\n2,"one\n\ntwo"\n3,"""\n"\n'


def test_crlf():
    assert cut('a,b\r\n1,2\r\n"x\r\ny",3\r\n', "b,a") == 'b,a\n2,1\n3,"x\ny"\n'


def test_short_and_empty_rows():
    assert cut("a,b,c\n1\n\n,2\n1,2,3\n4,5\n", "c,b") == "c,b\n,\n,2\n3,2\n,5\n"
    assert cut('a,b\n1,2\n""\n', "b,a") == "b,a\n2,1\n,\n"


def test_quoted_names_in_the_header():
    assert cut('"x y","q""r"\n1,2\n', 'q"r,x y') == '"q""r",x y\n2,1\n'


def test_errors():
    for text, cols in (("a,b\n1,2\n", "c"), ("a,b\n1,2\n", "a,,b"), ('a,b\n"1,2\n3,4\n', "a"), ("a\n", "A")):
        code, out, err = run(text, cols)
        assert (code, out) == (1, "") and err, (text, cols)


def test_many_rows():
    text = "k,v,w\n" + "".join(f'{n},"a ""{n}""",x\n' for n in range(20000))
    assert cut(text, "v").count("\n") == 20001
