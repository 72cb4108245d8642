"""The status page as a person sees it, in Debian's Chromium."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

from batchframe.simulator import Simulator
from tests.proxy.conftest import KEY, Running

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="needs Debian's chromium")


def test_one_signs_in_sees_ones_jobs_and_signs_out(served: Running, simulator: Simulator) -> None:
    """Without a script, and without a complaint of the browser's about what the page may not do."""
    said = served.client().chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": "<img src=x onerror=alert(1)>"}]
    )
    assert said.choices[0].message.content
    simulator.settings.duration = 3600.0
    served.client().responses.create(model="gpt-5", input="Hello", background=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            page = browser.new_page()
            complaints: list[str] = []
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            page.goto(served.url)
            page.get_by_label("key").fill("bf-wrong")
            page.get_by_role("button").click()
            assert page.get_by_text("opens nothing").is_visible()
            complaints.clear()  # the 401 of the wrong key
            page.get_by_label("key").fill(KEY)
            page.get_by_role("button").click()
            assert page.get_by_text("job 1", exact=False).first.is_visible()
            assert page.get_by_text("/v1/responses").is_visible()
            assert page.get_by_text("running").first.is_visible()
            page.get_by_role("button", name="Sign out").click()
            assert page.get_by_text("job 1", exact=False).count() == 0
            page.goto(served.url)
            assert page.get_by_label("key").is_visible()
            assert not complaints
        finally:
            browser.close()
