from catalogue.words import words


def search(products, text, tag, limit):
    """Products whose titles hold every word of the text, and that bear the tag if one is given.

    The more often the words occur in the title, the earlier; then the cheaper; then in the order of the catalogue. A
    text without words matches nothing.
    """
    wanted = set(words(text))
    found = []
    for place, product in enumerate(products):
        have = words(product.title)
        if wanted and all(word in have for word in wanted) and (tag is None or tag in product.tags):
            score = sum(have.count(word) for word in wanted)
            found.append((-score, product.price, place, product))
    found.sort(key=lambda item: item[:3])
    return [product for *_, product in found[:limit]]


def suggest(products, prefix, limit):
    """Words of titles that begin with the prefix: those in the most products first, then by alphabet."""
    prefix = prefix.lower()
    counts = {}
    for product in products:
        for word in set(words(product.title)):
            if word.startswith(prefix):
                counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], word))[:limit]
