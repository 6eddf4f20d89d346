import random
from pathlib import Path

from ratchet_check import RemoteError, remote

DRIVER = '''
from catalogue import Catalogue, Product

books = {}

def do(name, steps):
    """steps: [verb, ...]; what each gave."""
    book, said = books.setdefault(name, Catalogue()), []
    for verb, *rest in steps:
        try:
            if verb in ("add", "change"):
                sku, title, price, *tags = rest
                getattr(book, verb)(Product(sku, title, price, tuple(tags)))
                said.append(None)
            elif verb == "remove": said.append(book.remove(*rest))
            elif verb == "get": said.append(book.get(*rest).title)
            elif verb == "len": said.append(len(book))
            elif verb == "search": said.append([p.sku for p in book.search(rest[0], tag=rest[1], limit=rest[2])])
            elif verb == "suggest": said.append(book.suggest(*rest))
        except (KeyError, ValueError) as error:
            said.append(type(error).__name__)
    return said

def large(count):
    book = books["large"] = Catalogue()
    for n in range(count):
        book.add(Product(f"s{n}", f"Thing w{n % 20000} x{n}", n % 7, ("even",) if n % 2 == 0 else ()))
    return len(book)

def churn(count):
    book = books["large"]
    for n in range(count):
        book.change(Product(f"s{n}", f"Other v{n}", 1))
        book.remove(f"s{n + count}")
    return len(book)

def ask(count):
    book, sizes = books["large"], set()
    for n in range(count):
        sizes.add((len(book.search(f"w{n + 10000}")), len(book.search(f"thing w{n + 10000}", tag="even")), len(book.suggest(f"x3{n:04}"))))
    return sorted(sizes)
'''
Path("/tmp/driver.py").write_text(DRIVER)
do = remote("/tmp/driver.py", "do")
large, churn, ask = (remote("/tmp/driver.py", name, seconds=20) for name in ("large", "churn", "ask"))


class Plain:
    """The behaviour of the old code, step by step."""

    def __init__(self):
        self.all = []

    def step(self, verb, *rest):
        place = next((n for n, p in enumerate(self.all) if p[0] == rest[0]), None)
        if verb == "add":
            if place is not None:
                return "ValueError"
            self.all.append(rest)
        elif verb == "change":
            if place is None:
                return "KeyError"
            self.all[place] = rest
        elif verb == "remove":
            if place is None:
                return "KeyError"
            del self.all[place]
        elif verb == "search":
            text, tag, limit = rest
            wanted = set(text.lower().replace("-", " ").split())
            found = []
            for n, (sku, title, price, *tags) in enumerate(self.all):
                have = title.lower().replace("-", " ").split()
                if wanted and wanted <= set(have) and (tag is None or tag in tags):
                    found.append((-sum(have.count(w) for w in wanted), price, n, sku))
            return [item[-1] for item in sorted(found)[:limit]]
        elif verb == "suggest":
            counts = {}
            for _, title, *_ in self.all:
                for word in set(title.lower().replace("-", " ").split()):
                    if word.startswith(rest[0].lower()):
                        counts[word] = counts.get(word, 0) + 1
            return sorted(counts, key=lambda w: (-counts[w], w))[: rest[1]]
        return None


def test_the_same_answers_as_before():
    for seed in range(6):
        rng, plain, steps, expected = random.Random(seed), Plain(), [], []
        vocabulary = ["Red", "red", "blue", "Tea-Pot", "tea", "cup", "CUP", "re", "te"]
        for _ in range(250):
            verb = rng.choice(["add"] * 4 + ["change"] * 2 + ["remove"] + ["search"] * 3 + ["suggest"] * 2)
            if verb in ("add", "change"):
                title = " ".join(rng.choices(vocabulary, k=rng.randint(0, 4)))
                rest = [f"s{rng.randint(0, 40)}", title, rng.randint(1, 4), *rng.sample(["new", "sale"], rng.randint(0, 2))]
            elif verb == "remove":
                rest = [f"s{rng.randint(0, 40)}"]
            elif verb == "search":
                rest = [" ".join(rng.choices(vocabulary, k=rng.randint(0, 2))), rng.choice([None, "new", "sale"]), rng.choice([1, 3, 50])]
            else:
                rest = [rng.choice(["", "r", "Te", "cup", "x"]), rng.choice([1, 2, 9])]
            steps.append([verb, *rest])
            expected.append(plain.step(verb, *rest))
        assert do(f"random {seed}", steps) == expected


def test_errors_and_get():
    steps = [["add", "a", "One", 1], ["add", "a", "Two", 1], ["get", "a"], ["get", "b"], ["change", "b", "x", 1], ["remove", "b"], ["len"],
             ["remove", "a"], ["len"], ["search", "one", None, 5], ["add", "a", "Three", 2], ["get", "a"]]
    assert do("errors", steps) == [None, "ValueError", "One", "KeyError", "KeyError", "KeyError", 1, None, 0, [], None, "Three"]


def test_a_changed_product_keeps_its_place_and_a_new_one_goes_last():
    steps = [["add", s, "Pen", 1] for s in "abc"] + [["change", "a", "pen", 1], ["remove", "b"], ["add", "b", "pen", 1], ["search", "PEN", None, 9]]
    assert do("places", steps)[-1] == ["a", "c", "b"]


def test_words_are_runs_of_letters_and_digits():
    steps = [["add", "a", "Tea-Pot (4cl)", 1], ["search", "pot tea", None, 9], ["search", "4CL!", None, 9], ["search", "te", None, 9], ["search", "--", None, 9], ["suggest", "", 9]]
    assert do("words", steps)[1:] == [["a"], ["a"], [], [], ["4cl", "pot", "tea"]]


def test_catalogues_share_nothing():
    do("one", [["add", "a", "Lamp", 1]])
    assert do("two", [["search", "lamp", None, 9], ["suggest", "l", 9], ["len"]]) == [[], [], 0]


def test_a_large_catalogue_is_quick():
    assert large(40_000) == 40_000
    assert ask(1500) == [(2, 0, 1), (2, 2, 1)]
    assert churn(8_000) == 32_000
    assert do("large", [["search", "v5", None, 9], ["search", "x5", None, 9], ["search", "x10000", None, 9], ["search", "w17000", None, 9]]) == [["s5"], [], [], ["s17000", "s37000"]]
