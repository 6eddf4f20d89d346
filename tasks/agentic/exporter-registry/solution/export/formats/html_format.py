import html

from export.registry import register


def _cells(tag, values):
    return "<tr>" + "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values) + "</tr>\n"


@register("html", suffixes=[".html", ".htm"])
def render(rows, *, caption=None, **_):
    text = "<table>\n"
    if caption:
        text += f"<caption>{html.escape(caption)}</caption>\n"
    if rows:
        text += _cells("th", map(str, rows[0]))
    for row in rows:
        text += _cells("td", ("" if value is None else str(value) for value in row.values()))
    return text + "</table>\n"
