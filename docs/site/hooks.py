"""What mkdocs calls: pages of reference that are made from the code, and pages for linked files outside of docs/."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import reference  # type: ignore[import-not-found]  # noqa: E402 - beside this file, which mkdocs loads on its own

_SHIM = "https://unpkg.com/iframe-worker/shim"
_OUR_SHIM = "assets/iframe-worker.js"
_OUTSIDE = re.compile(r"\]\((?:\.\./)+([^)#]+\.md)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages, and a copy of each Markdown file of the repository that a page links to."""
    files.append(File.generated(config, _OUR_SHIM, content=(Path(__file__).parent / "iframe-worker.js").read_text()))
    for name, text in reference.pages().items():
        files.append(File.generated(config, name, content=text))
    linked = {
        match[1]
        for page in files.documentation_pages()
        for match in _OUTSIDE.finditer(page.content_string)
        if _in_repository(match[1])
    }
    for name in sorted(linked):
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, f"measured/{name}", content=_without_links(text)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files of the repository lead to their copies on the site."""
    up = "../" * page.file.src_uri.count("/")

    def inside(match: re.Match[str]) -> str:
        return f"]({up}measured/{match[1]}{match[2] or ''})" if _in_repository(match[1]) else match[0]

    return _OUTSIDE.sub(inside, markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """The search's helper comes from the site itself; the theme would load it from elsewhere."""
    return output.replace(_SHIM, "../" * page.file.src_uri.count("/") + _OUR_SHIM)


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """The same for pages that are no document, such as 404.html."""
    return output_content.replace(_SHIM, f"/{_OUR_SHIM}") if template_name.endswith(".html") else output_content


def _in_repository(name: str) -> bool:
    return (ROOT / name).is_file() and not (ROOT / "docs" / name).is_file()


def _without_links(text: str) -> str:
    """Relative links of a copied file lead nowhere on the site: only their words are kept."""
    return re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
