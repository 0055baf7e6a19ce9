"""The page that ``bench report`` makes of what benchmarks really write, in a real browser."""

import asyncio
import csv
import json
import shutil
from itertools import product

import pytest
from playwright.async_api import async_playwright

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="no chromium, chromium-browser or google-chrome on the PATH to look at pages with",
)
SUITE = "question,answer\nWhy?,42\nWhy? Once more,42\nWhy? And again,43\n"
COLUMNS = [
    *("query_id", "group", "model", "prompt"),
    *("score", "cost_usd", "cost_source", "response"),
]
WIDTHS = (1280, 390)
"""Of a window at a desk, and of a phone."""
CELLS = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"


@pytest.fixture
def benchmarks(run, folder):
    """The JSON of each benchmark, small but as its command writes it."""
    (folder / "suite.csv").write_text(SUITE)
    policy = (folder / "policy.yaml").read_text()
    (folder / "poor.yaml").write_text(policy.replace("limit: 0.01 USD", "limit: 0.00107 USD"))
    with (folder / "table.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for i, m in product(range(40), range(2)):
            score = float(i * 7 % (2 + 3 * m) > 0)
            cells = [f"q{i}", "g", f"m{m}", f"How much is {i}?", score, 0.001 * (m + 1)]
            rows.writerow([*cells, "recorded", f"It is {i}"])
    policies = ("--policy", "policy.yaml", "--policy", "poor.yaml", "--source", "simulated")
    done = run("bench", "run", "suite.csv", "--graph", "agents:graph", *policies, "--json")
    (folder / "run.json").write_text(done.out)
    (folder / "plan.json").write_text(run("bench", "plan", "--plans", "5", "--json").out)
    options = ("--labels", "20", "--seeds", "2", "--json", "route.json")
    assert run("bench", "route", "table.csv", *options).code == 0
    return [f"{name}.json" for name in ("run", "plan", "route")]


async def look_at(path, *judges):
    """Open a page as it lies on the disk, without a network, and see what it does."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        for width in WIDTHS:
            size = {"width": width, "height": 844}
            context = await browser.new_context(viewport=size, offline=True)
            page, said, asked = await context.new_page(), [], []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.on("pageerror", lambda error, said=said: said.append(str(error)))
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            await page.goto(path.as_uri())
            for judge in judges:
                await judge(page)
            assert said == []
            assert asked == [path.as_uri()], "the page needs nothing else"
        await browser.close()


async def is_legible(page, figures):
    """Every chart and table is there, and nothing but these scrolls sideways."""
    inner, whole = await page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert whole <= inner
    images = await page.locator("img").all()
    assert len(images) == len(figures)
    for image in images:
        await image.scroll_into_view_if_needed()
        assert await image.is_visible()
        assert await image.evaluate("it => it.naturalWidth") > 1000
        shown = await image.evaluate("it => it.parentElement.getBoundingClientRect().right")
        assert shown <= inner
    for fold in await page.locator("summary").all():
        await fold.click()
    tables = await page.locator("table").all()
    assert len(tables) >= len(figures)
    for table in tables:
        assert await table.is_visible()


async def holds(page, report):
    """The numbers of ``bench run``, as they are to be read."""
    rows = await page.locator("section").first.locator("tr").evaluate_all(CELLS)
    told = {name: (float(cost), float(quality)) for name, cost, quality in rows[1:]}
    assert rows[0][1:] == ["USD per task", "quality"]
    assert set(told) == {one["name"] for one in (*report["policies"], *report["baselines"])}
    for one in (*report["policies"], *report["baselines"]):
        cost = float(one["cost_usd"]) / one["tasks"]
        assert told[one["name"]] == pytest.approx((cost, one["quality"]), rel=1e-3)


def test_a_page_is_whole_by_itself_and_legible_at_a_desk_and_on_a_phone(run, benchmarks, folder):
    figures = run("bench", "report", *benchmarks, "--out", "out", "--json").json["figures"]
    report = json.loads((folder / "run.json").read_text())
    assert len(figures) == len(benchmarks)

    asyncio.run(
        look_at(
            folder / "out" / "report.html",
            lambda page: is_legible(page, figures),
            lambda page: holds(page, report),
        )
    )
