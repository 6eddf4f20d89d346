from bisect import bisect_left, insort

from catalogue.words import words


class Index:
    """Word -> place -> (how often, product); and all words in order."""

    def __init__(self):
        self._places = {}
        self._words = []

    def add(self, place, product):
        have = words(product.title)
        for word in set(have):
            if word not in self._places:
                self._places[word] = {}
                insort(self._words, word)
            self._places[word][place] = (have.count(word), product)

    def remove(self, place, product):
        for word in set(words(product.title)):
            del self._places[word][place]
            if not self._places[word]:
                del self._places[word]
                del self._words[bisect_left(self._words, word)]

    def search(self, text, tag, limit):
        """Products whose titles hold every word of the text, and that bear the tag if one is given.

        The more often the words occur in the title, the earlier; then the cheaper; then in the order of the catalogue. A
        text without words matches nothing.
        """
        lists = sorted((self._places.get(word, {}) for word in set(words(text))), key=len)
        if not lists:
            return []
        found = []
        for place, (_, product) in lists[0].items():
            if all(place in other for other in lists[1:]) and (tag is None or tag in product.tags):
                score = sum(other[place][0] for other in lists)
                found.append((-score, product.price, place, product))
        found.sort(key=lambda item: item[:3])
        return [product for *_, product in found[:limit]]

    def suggest(self, prefix, limit):
        """Words of titles that begin with the prefix: those in the most products first, then by alphabet."""
        prefix = prefix.lower()
        found = []
        for n in range(bisect_left(self._words, prefix), len(self._words)):
            if not self._words[n].startswith(prefix):
                break
            found.append(self._words[n])
        return sorted(found, key=lambda word: (-len(self._places[word]), word))[:limit]
