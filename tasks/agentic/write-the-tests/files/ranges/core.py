import re
from bisect import bisect_right


class Ranges:
    """An immutable set of integers, as half-open ranges."""

    def __init__(self, pairs=()):
        merged = []
        for low, high in sorted(pairs):
            if low > high:
                raise ValueError(f"{low} > {high}")
            if low == high:
                continue
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        self._pairs = tuple(merged)

    def __iter__(self):
        return iter(self._pairs)

    def __len__(self):
        return sum(high - low for low, high in self._pairs)

    def __bool__(self):
        return bool(self._pairs)

    def __contains__(self, number):
        place = bisect_right(self._pairs, (number, float("inf"))) - 1
        return place >= 0 and self._pairs[place][0] <= number < self._pairs[place][1]

    def __eq__(self, other):
        return self._pairs == other._pairs if isinstance(other, Ranges) else NotImplemented

    def __hash__(self):
        return hash(self._pairs)

    def __or__(self, other):
        return Ranges([*self._pairs, *other._pairs])

    def __and__(self, other):
        found = []
        for a, b in self._pairs:
            for c, d in other._pairs:
                if max(a, c) < min(b, d):
                    found.append((max(a, c), min(b, d)))
        return Ranges(found)

    def __sub__(self, other):
        left = list(self._pairs)
        for c, d in other._pairs:
            cut = []
            for a, b in left:
                if a < min(b, c):
                    cut.append((a, min(b, c)))
                if max(a, d) < b:
                    cut.append((max(a, d), b))
            left = cut
        return Ranges(left)

    def gaps(self):
        return Ranges([(a[1], b[0]) for a, b in zip(self._pairs, self._pairs[1:])])

    @classmethod
    def parse(cls, text):
        pairs = []
        if not text.strip():
            return cls()
        for part in text.split(","):
            match = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
            if not match:
                raise ValueError(text)
            low = int(match[1])
            high = int(match[2]) if match[2] else low
            if high < low:
                raise ValueError(text)
            pairs.append((low, high + 1))
        return cls(pairs)

    def __str__(self):
        if self._pairs and self._pairs[0][0] < 0:
            raise ValueError("negative numbers cannot be written")
        return ",".join(str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in self._pairs)

    def first(self, n):
        if n < 0:
            raise ValueError(n)
        found = []
        for low, high in self._pairs:
            found += range(low, min(high, low + n - len(found)))
        return found
