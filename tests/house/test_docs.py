"""What the documentation shows is true: its code runs, its commands, links and lists are right."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCED = re.compile(r"^(`{3,}).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    titles = HEADING.findall(prose(page))
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    broken = []
    for link in LINK.findall(prose(page)):
        if link.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path):
    assert broken_links(page) == []


def test_a_link_to_a_missing_page_or_heading_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One `step`\n[a](page.md#one-step) [b](page.md#two) [c](#one-step) [d](gone.md)\n"
        "```text\n[e](in-code.md)\n```\n"
    )

    assert broken_links(page) == ["page.md#two", "gone.md"]


def test_every_page_can_be_reached_from_the_first(root: Path):
    seen: set[Path] = set()
    new = {root / "README.md", root / "docs" / "index.md"}
    while new:
        page = new.pop()
        seen.add(page)
        linked = {
            (page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(prose(page))
        }
        new |= {target for target in linked & set(PAGES) if target not in seen}

    assert sorted(map(name_of, set(PAGES) - seen)) == []


def test_the_architecture_shows_the_rooms_that_exist_in_the_order_that_is_enforced(root: Path):
    page = (root / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = page.partition("```text\n")[2].partition("\n```")[0].splitlines()
    described = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)

    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    layers = contracts["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {path.parent.name for path in (root / "orchestrator").glob("*/__init__.py")}
    enforced = [
        " | ".join(
            room for room in layer.replace("(", "").replace(")", "").split(" | ") if room in rooms
        )
        for layer in layers
    ]
    assert shown == [layer for layer in enforced if layer]
    assert sorted(described) == sorted(rooms)


def test_the_site_has_every_page():
    """A page that the site's navigation does not name would be found by nobody there."""
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]

    assert [page for page in pages if f"- {page}\n" not in site] == [
        page for page in pages if page.startswith("decisions/0")
    ]
