from pathlib import Path

from ratchet_check import RemoteError, remote

DRIVER = '''
from lang import LangError, run

def ask(text):
    try: return run(text)
    except LangError as error: return error.line
'''
Path("/tmp/driver.py").write_text(DRIVER)
ask = remote("/tmp/driver.py", "ask", seconds=20)


def show(*expressions):
    """What each expression prints, or the line of its error."""
    got = [ask(f"print {e};") for e in expressions]
    return [g[0] if isinstance(g, list) else g for g in got]


def test_arithmetic_and_grouping():
    assert show("2 + 3 * 4 - 1", "10 - 3 - 2", "100 / 10 / 5", "2 * (3 + 4) % 5", "- - 3", "-2 * 3", "1 - -1") == ["13", "5", "2", "4", "3", "-6", "2"]


def test_division_goes_towards_zero():
    assert show("-7 / 2", "-7 % 2", "7 / -2", "7 % -2", "-7 / -2", "-8 % -3", "6 / -2", "10000000000000000000000001 / -2") == ["-3", "-1", "-3", "1", "3", "-2", "-3", "-5000000000000000000000000"]
    assert show("1 / 0", "1 % 0") == [1, 1]


def test_texts():
    assert show('"a" + "b"', '"ab" * 3', '"ab" * 0', '"ab" * -1', r'"a\"b\\n\n"', '"#no"') == ["ab", "ababab", "", "", 'a"b\\n\n', "#no"]
    assert show('"a" + 1', '3 * "a"', '"a" * true', '"a" - "a"', r'"\t"', '"a\nb"', '"abc', '-"a"', '"a" < 1') == [1] * 9


def test_printing():
    assert ask('fn f() {} print true, false, null, f, 0, "";') == ["true false null fn f 0 "]


def test_comparisons():
    assert show("1 == true", "0 == false", "null == false", '1 == "1"', "1 != true", '"a" < "b"', '"b" >= "b"', "2 > 10", "true == true", "null == null") == ["false"] * 3 + ["false", "true", "true", "true", "false", "true", "true"]
    assert show("true < false", "null < 1", "1 < 2 < 3", "1 == 1 == true", "(1 < 2) == true") == [1, 1, 1, 1, "true"]
    assert ask("fn f() {} fn g() {} let h = f; print f == h, f == g, f != 1;") == ["true false true"]


def test_and_or_not():
    assert show('0 or ""', '1 and "x"', "null or 2 or 3", "0 and 1", "1 and null or 5", "not 0", "not not 7", "not 1 == 2", "not true or true", '"" or not ""', "1 or 0 and 0", "not 1 + 1 == 3") == ["", "x", "2", "0", "5", "true", "true", "true", "true", "true", "1", "true"]
    assert ask('fn loud(x) { print "loud"; return x; } print 1 or loud(2); print 0 and loud(1); print loud(0) or 3;') == ["1", "0", "loud", "3"]


def test_booleans_are_no_numbers():
    assert show("true + 1", "-true", "true * 2", "1 - false", "true / true") == [1] * 5


def test_scopes():
    assert ask("let x = 1; if true { let x = 2; print x; x = 3; print x; } print x;") == ["2", "3", "1"]
    assert ask("let x = 1; if true { x = 5; } print x;") == ["5"]
    assert ask("if true { let y = 1; }\nprint y;") == 2 and ask("let a = 1;\nlet a = 2;") == 2 and ask("\n\nz = 1;") == 3 and ask("let f = 1;\nfn f() {}") == 2
    assert ask("let x = 1; fn f(x) { x = x + 1; return x; } print f(x), x;") == ["2 1"]
    assert ask("let i = 0; while i < 2 { let j = i; i = i + 1; print j; }") == ["0", "1"]


def test_functions_see_where_they_were_declared():
    assert ask("let x = 1; fn f() { return x; } fn g() { let x = 2; return f(); } print g(); x = 7; print g();") == ["1", "7"]
    assert ask("fn counter() { let n = 0; fn up() { n = n + 1; return n; } return up; } let a = counter(); let b = counter(); a(); print a(), b(), counter()();") == ["2 1 1"]
    assert ask("let fs = null; let gs = null; let i = 0; while i < 2 { let j = i; fn f() { return j; } if i == 0 { fs = f; } else { gs = f; } i = i + 1; } print fs(), gs();") == ["0 1"]
    assert ask("fn fact(n) { if n < 2 { return 1; } return n * fact(n - 1); } print fact(30);") == ["265252859812191058636308480000000"]


def test_calls():
    assert ask("fn f() { } print f(); fn g() { return; } print g(); fn h() { return 1; print 2; } print h();") == ["null", "null", "1"]
    assert ask("fn f(a) { }\nf();") == 2 and ask("fn f(a) { }\nf(1, 2);") == 2 and ask("1;\n\n2(3);") == 3 and ask("fn f(a, a) { }") == 1
    assert ask('fn t(x) { print x; return x; } fn f(a, b) { return a - b; } print f(t(5), t(3)) + t(1) * t(2);') == ["5", "3", "1", "2", "4"]
    assert ask("fn f(a b) { }") == 1 and ask("fn f(a) { } f(1 2);") == 1 and ask("fn f(a) { } f(1,);") == 1 and ask("fn f(,) { }") == 1


def test_loops():
    assert ask("let i = 0; while true { i = i + 1; if i == 2 { continue; } if i > 4 { break; } print i; } print i;") == ["1", "3", "4", "5"]
    assert ask("let i = 0; while i < 2 { i = i + 1; let k = 0; while true { k = k + 1; if k > i { break; } print i, k; } }") == ["1 1", "2 1", "2 2"]
    assert ask("fn f() { while true { while true { return 9; } } } print f();") == ["9"]


def test_else_if():
    text = "fn f(x) { if x > 1 { return 1; } else if x < 0 { return 2; } else if x == 0 { return 3; } else { return 4; } } print f(5), f(-1), f(0), f(1);"
    assert ask(text) == ["1 2 3 4"]
    assert ask("if 0 { } " + "else if 0 { } " * 3000 + 'else { print "end"; }') == ["end"]


def test_errors_before_anything_runs():
    for text, line in (("print 1;\nreturn;", 2), ("print 1;\nbreak;", 2), ("continue;", 1), ("while 1 { fn f() {\nbreak; } }", 2), ("print 1;\nlet = 2;", 2), ("print 1\nprint 2;", 2), ("if 1 {", 1), ("}", 1), ("print 1;\n1 = 2;", 2), ("f() = 2;", 1), ("let if = 1;", 1), ("print 1 +;", 1), ("print;", 1), ("let 1a = 2;", 1), ("print 1a;", 1), ("@", 1), ("a + b = 1;", 1), ("(a) = 1;", 1)):
        assert ask(text) == line, text


def test_lines_of_errors():
    assert ask("print 1\n+\n2 *\ntrue;") == 3 and ask("let x = 1; # c\n# d\nprint x,\n y;") == 4 and ask('let t = "a";\nlet u = t\n  - 1;') == 3 and ask("fn f() {\n  return 1 / 0;\n}\n\nf();") == 2


def test_limits():
    assert ask("fn f(n) { if n == 0 { return 0; } return 1 + f(n - 1); } print f(199);") == ["199"]
    assert ask("fn f(n) {\nreturn f(n + 1); }\nf(0);") == 2
    assert ask("while true { }") == 1 and isinstance(ask("let i = 0;\nwhile true { i = i + 1; }"), int)
    assert ask("print " + "(" * 90 + "1" + ")" * 90 + ";") == ["1"] and ask("print " + "(" * 5000 + "1" + ")" * 5000 + ";") == 1 and ask("print " + "-" * 5000 + "1;") == 1 and ask("if 1 {" * 3000 + "}" * 3000) == 1 and ask("print " + "not " * 5000 + "1;") == 1
    assert ask("print " + "1 + " * 5000 + "1;") == ["5001"]


def test_long_values():
    assert len(ask("let x = 10; let n = 0; while n < 13 { x = x * x; n = n + 1; } print x;")[0]) == 8193
    assert ask("let x = 10; while true {\nx = x * x; }") == 2 and ask('print "ab" * 50000 == "";') == ["false"] and ask('print\n"ab" * 50001;') == 2 and ask('print "a" * 99999999999999;') == 1
    assert ask("print " + "9" * 5000 + ";") == ["9" * 5000]
