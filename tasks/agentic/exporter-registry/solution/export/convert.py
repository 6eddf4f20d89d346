from export import formats, registry

__all__ = ["convert", "formats"]


def convert(rows, format, **options):
    """Rows (a list of dictionaries with equal keys) as text, or bytes for a binary format."""
    return registry.get(format).render(rows, **options)
