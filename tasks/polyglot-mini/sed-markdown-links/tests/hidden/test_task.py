import subprocess

ENV = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}


def links(text):
    done = subprocess.run(["sed", "-E", "-n", "--sandbox", "-f", "links.sed"], input=text, capture_output=True, text=True, timeout=60, env=ENV)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def test_one_and_none():
    assert links("see [a b](http://x/y#z) there\nnothing\n\n") == "http://x/y#z a b\n"


def test_many_on_a_line():
    assert links("[a](1)[b](2) and [c](3), [d](4)\n[e](5)\n") == "1 a\n2 b\n3 c\n4 d\n5 e\n"


def test_images_are_left_out():
    assert links("![a](1) [b](2) ![c](3)\n![x](y)\nwow! [d](4)\n[e](5)![f](6)[g](7)\n") == "2 b\n4 d\n5 e\n7 g\n"


def test_what_is_no_link():
    assert links("[a] (b)\n[](x)\n[x]()\n[a](b c)\n[a](b\n(a)[b]\n[a[b](c)\n[a]b](c)\n[a](b(c)\n") == "c b\n"


def test_after_what_is_no_link():
    assert links("[a] [b](2) [c](x y) [d](4) [](5)[e](6)\n") == "2 b\n4 d\n6 e\n"


def test_odd_characters():
    assert links("[*a* & \\1](http://x/?a=1&b=\\2) [ü](é)\n") == "http://x/?a=1&b=\\2 *a* & \\1\né ü\n"
