"""The pages that lie beside ``docs/``, in the site, and links to files that are no pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
BESIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"(\[[^\]]*\])\(((?:\.\./)+|docs/|)([^)#\s]*)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the project's top level under their lower-case names."""
    for name in BESIDE:
        text = (ROOT / name).read_text(encoding="utf-8")
        files.append(File.generated(config, name.lower(), content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point links at pages of the site; a link to another file of the project becomes its name."""
    up = "../" * page.file.src_uri.count("/")

    def moved(link: re.Match[str]) -> str:
        words, before, path, anchor = link.groups(default="")
        if before == "docs/":
            return f"{words}({path}{anchor})"
        if path in BESIDE:
            return f"{words}({up}{path.lower()}{anchor})"
        if not before or path.endswith(".md"):
            return link.group(0)
        return words.removeprefix("[").removesuffix("]")

    return LINK.sub(moved, markdown)
