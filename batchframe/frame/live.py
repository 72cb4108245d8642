"""The live view of a job in a notebook: the card of `views.py` with a button that cancels.

It is two outputs of one cell, for reasons given in docs/adr: static HTML, which is replaced as the job goes on
and is what a saved notebook keeps; and a widget, which also moves after the page was loaded again and hides the first
while it is there. Nothing of Jupyter is imported before a notebook asks for it.
"""

from __future__ import annotations

import sys
import threading
import uuid
import weakref
from collections.abc import Callable
from typing import Any

from batchframe.errors import BatchframeError, DatabaseError
from batchframe.frame import views
from batchframe.frame.refreshing import Refresher
from batchframe.frame.summary import Summary

_SAVED_SECONDS = 2.0
"""How often the static HTML is replaced: each time marks the notebook as changed."""

_WIDGET = "application/vnd.jupyter.widget-view+json"

_by_cell: weakref.WeakValueDictionary[tuple[str, int], LiveView] = weakref.WeakValueDictionary()


def kernel_shell() -> Any | None:
    """IPython's shell when this process is the kernel of a notebook; None in a terminal or a script."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell if getattr(shell, "kernel", None) is not None else None


def show(summary: Summary, read: Callable[[], Summary], cancel: Callable[[], object], refresher: Refresher) -> None:
    """Show a job that is open in the cell that runs, and keep it up to date.

    Args:
        summary, read: how it is now, and what says how it is later.
        cancel: cancels it.
    """
    view = LiveView(summary, read, cancel)
    view.display()
    _take_the_place(view, summary.id, refresher)
    refresher.add(view)


def _take_the_place(view: LiveView, job_id: int, refresher: Refresher) -> None:
    """A cell that is run again has lost what it showed; nobody need go on moving that."""
    parent = kernel_shell().get_parent()  # type: ignore[union-attr]
    cell = parent.get("metadata", {}).get("cellId")
    if cell is None:  # not every frontend says
        return
    view.execution = parent["header"]["msg_id"]
    before = _by_cell.get((cell, job_id))
    if before is not None and before.execution != view.execution:
        refresher.discard(before)
        before.close()
    _by_cell[cell, job_id] = view


class LiveView:
    """One showing of one job. Its methods may be called from any thread."""

    def __init__(self, summary: Summary, read: Callable[[], Summary], cancel: Callable[[], object]) -> None:
        import ipywidgets as widgets  # type: ignore[import-untyped]  # takes 0.2 s; only notebooks need it

        self.execution: str | None = None
        self._read = read
        self._cancel_job = cancel
        self._summary = summary
        self._saved: Summary | None = None
        self._mark = f"batchframe-{uuid.uuid4().hex}"
        self._showing = threading.RLock()
        self._static: Any = None
        self._card = widgets.HTML()
        self._cancel = widgets.Button(description="Cancel job")
        self._question = widgets.HTML("Really cancel? Answers made until then are kept, and paid for.")
        self._yes = widgets.Button(description="Yes, cancel", button_style="danger")
        self._no = widgets.Button(description="No, go on")
        self._trouble = widgets.HTML()
        self._buttons = widgets.HBox([self._cancel], layout=widgets.Layout(align_items="center"))
        self._root = widgets.VBox([self._card, self._trouble, self._buttons])
        self._cancel.on_click(lambda _: self._ask(really=True))
        self._no.on_click(lambda _: self._ask(really=False))
        self._yes.on_click(lambda _: self._really_cancel())

    def display(self) -> None:
        """Show it in the cell that runs."""
        from IPython.display import display

        self._static = display(  # type: ignore[no-untyped-call]
            self._static_bundle(), raw=True, display_id=True
        )
        self._saved = self._summary
        self._show_card(live=True)
        display(  # type: ignore[no-untyped-call]
            # No text: where there are no widgets, the HTML before it is what there is to see.
            {**self._root._repr_mimebundle_(), "text/plain": ""},
            raw=True,
        )

    def refresh(self) -> bool:
        """Show how the job is now; False when it has ended, or the view is gone."""
        with self._showing:
            if self._root.comm is None:
                return False
            try:
                self._summary = self._read()
            except DatabaseError as error:
                self._say(str(error))
                return True
            self._say("")
            self._show_card(live=True)
            self._save()
            return not self._summary.closed

    def rest(self) -> None:
        """Say of when it is: nobody brings it up to date any more."""
        with self._showing:
            self._show_card(live=False)
            self._hide_buttons()
            self._save(now=True)

    def close(self) -> None:
        """Take the widget out of the kernel and off the page."""
        with self._showing:
            for widget in (self._cancel, self._question, self._yes, self._no, *self._root.children, self._root):
                widget.close()

    def _show_card(self, *, live: bool) -> None:
        hide = f"<style>.{self._mark}{{display:none}}</style>"
        self._card.value = hide + views.as_html(self._summary, live=live)
        if self._summary.closed or self._summary.progress.status == "cancelling":
            self._hide_buttons()

    def _save(self, *, now: bool = False) -> None:
        before, summary = self._saved, self._summary
        assert before is not None
        age = (summary.at - before.at).total_seconds()
        if now or age >= _SAVED_SECONDS or summary.progress.status != before.progress.status:
            self._static.update(self._static_bundle(), raw=True)
            self._saved = summary

    def _static_bundle(self) -> dict[str, str]:
        # JupyterLab says "Error displaying widget" for the output after this one when its kernel is gone.
        next_output = f".jp-OutputArea-child:has(.{self._mark}) + .jp-OutputArea-child > .jp-OutputArea-output"
        html = f"<style>{next_output}.jupyter-widgets:not(:has(*)){{display:none}}</style>" + views.as_html(
            self._summary, mark=self._mark
        )
        return {"text/plain": views.as_text(self._summary), "text/html": html}

    def _ask(self, *, really: bool) -> None:
        with self._showing:
            if self._buttons.children:
                self._buttons.children = (self._question, self._yes, self._no) if really else (self._cancel,)

    def _really_cancel(self) -> None:
        with self._showing:
            self._yes.disabled = self._no.disabled = True
        try:
            self._cancel_job()
        except BatchframeError as error:
            with self._showing:
                self._yes.disabled = self._no.disabled = False
                self._say(str(error))
            return
        self.refresh()

    def _hide_buttons(self) -> None:
        self._buttons.children = ()

    def _say(self, trouble: str) -> None:
        self._trouble.value = views.as_trouble(trouble) if trouble else ""
