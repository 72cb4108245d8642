"""The live view, in a real JupyterLab in a real browser."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

from batchframe.simulator import Simulator
from tests.conftest import FAST
from tests.notebooks.jupyter import TOKEN, Lab, jupyterlab

CHROMIUM = shutil.which("chromium")
MILLISECONDS = 60_000
"""How long the browser waits for anything."""

# CI installs it (.ci/run); there its absence is a failure.
pytestmark = pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="needs Debian's chromium")


VIEW = ".batchframe-job"
ERROR = "Error displaying widget"


ASK = """
frame = pd.DataFrame({"text": [f"ticket {n}" + " word" * 60 for n in range(600)]})
job = frame.llm.batch("{text}", model="gpt-5-mini", name="tickets", budget_usd=20)
job
"""


@pytest.fixture
def lab(tmp_path: Path, database_url: str, simulator: Simulator) -> Iterator[Lab]:
    """A notebook that asks 600 requests, of which the provider takes 200 at a time."""
    settings = {**FAST, "database_url": database_url, "openai_base_url": simulator.base_url, "batch_max_requests": 200}
    cells = [
        f"import batchframe as bf, pandas as pd\nbf.connect(**{settings!r})",
        ASK,
        "job.wait()",
        "job",
    ]
    with jupyterlab(tmp_path, cells) as running:
        yield running


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    """A browser's page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 1100}, device_scale_factor=2)
        page.set_default_timeout(MILLISECONDS)
        expect.set_options(timeout=MILLISECONDS)
        # On a machine that is very busy JupyterLab asks for a kernel before it has heard which there are.
        page.add_locator_handler(page.get_by_role("button", name="Select Kernel"), lambda button: button.click())
        yield page
        page.screenshot(path=tmp_path / "end.png", timeout=5_000)  # where it stood, should it have failed
        browser.close()


def test_a_job_is_watched_interrupted_cancelled_and_found_again(
    lab: Lab, page: Page, simulator: Simulator, tmp_path: Path
) -> None:
    """What a user sees and does in the hours a batch takes, and the next morning."""
    simulator.settings.duration = 4
    simulator.settings.enqueued_tokens = 22_000
    simulator.faults.row(
        re.compile(r"(?:ticket |\d)77 "), status=400, code="content_filter", message="Not <b>this</b>."
    )
    page.goto(lab.page)
    first = page.locator(".jp-Notebook .jp-CodeCell").first
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible()
    expect(page.get_by_role("button", name="Python 3 (ipykernel) | Idle")).to_be_visible()
    first.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(outputs(page, 0)).to_contain_text("postgresql")

    # It moves, though no cell runs.
    page.keyboard.press("Shift+Enter")
    live = outputs(page, 1).locator(f".jupyter-widgets {VIEW}")
    expect(live).to_contain_text("running")
    simulator.wait_for(lambda seen: any(batch.status == "completed" for batch in seen.batches), 60)
    simulator.settings.duration = 3600
    expect(live).to_contain_text("198 answered")
    expect(live).to_contain_text("2 content_filter Not <b>this</b>.")
    expect(live).to_contain_text("200 at the provider")
    expect(live).to_contain_text("200 waiting")
    expect(outputs(page, 1).locator(VIEW).locator("visible=true")).to_have_count(1)
    page.screenshot(path=tmp_path / "running.png")

    # The stop button ends the waiting, not the job.
    page.keyboard.press("Shift+Enter")
    expect(outputs(page, 2)).to_contain_text("job 1 'tickets'")
    page.keyboard.press("Escape")
    page.keyboard.press("i")
    page.keyboard.press("i")
    expect(outputs(page, 2)).to_contain_text("goes on in the background")
    before = live.inner_text()
    simulator.settings.duration = 60
    expect(live).to_contain_text("answered, not fetched yet")
    assert live.inner_text() != before
    expect(live).to_contain_text("running")
    assert "batches.cancel" not in simulator.ledger.calls

    # The button asks first.
    outputs(page, 1).get_by_role("button", name="Cancel job").click()
    outputs(page, 1).get_by_role("button", name="No, go on").click()
    outputs(page, 1).get_by_role("button", name="Cancel job").click()
    page.screenshot(path=tmp_path / "asking.png")
    assert "batches.cancel" not in simulator.ledger.calls
    outputs(page, 1).get_by_role("button", name="Yes, cancel").click()
    expect(status(live)).to_have_text("cancelled")
    expect(outputs(page, 1).get_by_role("button").locator("visible=true")).to_have_count(0)
    assert simulator.batches[-1].status == "cancelled"
    figures = live.inner_text()

    # A job that has ended is shown without a widget.
    page.locator(".jp-CodeCell").nth(3).locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(status(outputs(page, 3).locator(VIEW))).to_have_text("cancelled")
    expect(outputs(page, 3).locator(".jupyter-widgets")).to_have_count(0)
    page.screenshot(path=tmp_path / "cancelled.png")

    # Saved, and loaded again, it is the same.
    with page.expect_response(lambda seen: seen.request.method == "PUT" and lab.notebook.name in seen.url):
        page.keyboard.press("Control+s")
    assert_the_file_holds_the_end(lab.notebook, figures)
    page.reload()
    expect(live).to_be_visible()
    assert live.inner_text() == figures
    page.screenshot(path=tmp_path / "reloaded.png")

    # The next morning the kernel is gone; what was saved is shown.
    for session in page.request.get(f"{lab.address}/api/sessions?token={TOKEN}").json():
        page.request.delete(f"{lab.address}/api/sessions/{session['id']}?token={TOKEN}")
    page.reload()
    expect(page.locator(".jp-CodeCell").nth(2)).to_contain_text(ERROR)  # of the bar, which is tqdm's
    static = outputs(page, 1).locator(f".jp-RenderedHTMLCommon {VIEW}")
    expect(static).to_be_visible()
    assert static.inner_text() == figures
    expect(outputs(page, 1).get_by_text(ERROR).locator("visible=true")).to_have_count(0)
    page.screenshot(path=tmp_path / "next_morning.png")


def outputs(page: Page, cell: int) -> Locator:
    """What stands under a cell."""
    return page.locator(".jp-CodeCell").nth(cell).locator(".jp-Cell-outputArea")


def status(view: Locator) -> Locator:
    """The word a view has for how the job is."""
    return view.get_by_text(re.compile(r"^(running|paused|cancelling|done|cancelled|failed)$"))


def assert_the_file_holds_the_end(path: Path, figures: str) -> None:
    """Whoever opens it without a kernel, or sends it to others, has the figures, and no sign of a key."""
    text = path.read_text()
    cells = nbformat.reads(text, as_version=4).cells
    saved = cells[1].outputs[0].data["text/html"]
    assert "batchframe-job" in saved
    assert ">cancelled</span>" in saved
    answered = re.search(r"(\d+) answered", figures)
    assert answered is not None
    assert f"<b>{answered[1]}</b> answered" in saved
    assert "<b>this" not in saved
    assert f"{answered[1]} ok, 2 failed" in cells[1].outputs[0].data["text/plain"]
    assert not [one for one in cells[1].outputs if one.output_type in ("stream", "error")]
