"""What a person sees who opens the web UI on an empty home: the daily job started by hand, its end, a check's rows, the chart.

Pictures of each step are kept in data/screenshots. Chromium asks this machine only.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipelines.sandbox.serve import Sandbox
from tests import tiny
from tests.conftest import ROOT
from tests.test_ui import served

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
CHROMIUM = shutil.which("chromium")
SCREENSHOTS = ROOT / "data" / "screenshots"
LONG = 120_000.0  # ms that a whole run may take where many share two cores

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")


class Person:
    """Somebody in front of the UI, who takes a picture of what they see."""

    def __init__(self, page, base: str) -> None:
        self.page, self.base, self.elsewhere = page, base, []
        page.on("request", self._note)

    def _note(self, request) -> None:
        if urlsplit(request.url).hostname not in {"127.0.0.1", None}:
            self.elsewhere.append(request.url)

    def opens(self, path: str) -> None:
        self.page.goto(self.base + path)

    def sees(self, words: str, timeout: float = 30_000.0) -> None:
        self.page.get_by_text(words, exact=True).first.wait_for(timeout=timeout)

    def clicks(self, words: str) -> None:
        self.page.get_by_text(words, exact=True).first.click()

    def opens_the_text_beside(self, key: str) -> None:
        """What is longer than a line is behind a link."""
        self.page.locator("tr", has=self.page.get_by_text(key, exact=True)).get_by_text("[Show Markdown]").last.click()

    def keeps(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    with Sandbox(tiny.dataset(tmp_path / "data", tiny.OVERDRAWN)) as sandbox, playwright.sync_playwright() as driver:
        sandbox.write_config(tmp_path / "closebook.toml")
        with served(tmp_path, "--config", "closebook.toml") as (port, _):
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # as root it has none
            person = Person(browser.new_page(viewport={"width": 1400, "height": 1000}), f"http://127.0.0.1:{port}")
            yield person
            person.keeps("last")
            browser.close()


def test_the_first_book_is_closed_and_read_in_the_browser(person: Person) -> None:
    page = person.page
    person.opens("/locations/pipelines.definitions/jobs/close_book/playground")
    days = page.get_by_placeholder("Partition")
    days.click()
    days.fill("2025-01-07")
    person.clicks("2025-01-07")
    person.keeps("1-launchpad")
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url(re.compile("/runs/"), timeout=30_000)
    person.sees("Success", LONG)
    person.keeps("2-run")

    person.opens("/assets/candidate?view=checks")
    page.get_by_placeholder("Filter checks").fill("spot_negative")
    person.clicks("daily_balances_spot_negative")
    person.sees("violations")
    person.opens_the_text_beside("rows")
    assert "-10000" in page.get_by_role("dialog").inner_text()
    person.keeps("3-rows-of-a-check")

    person.opens("/assets/daily_values")
    person.opens_the_text_beside("value_by_portfolio")
    picture = page.get_by_role("dialog").get_by_alt_text("chart").first
    picture.wait_for()
    assert picture.evaluate("picture => picture.naturalWidth") > 0
    person.keeps("4-chart")
    assert person.elsewhere == []
