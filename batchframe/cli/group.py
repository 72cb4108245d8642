"""How commands fail: with a sentence and a status, never with a traceback of ours."""

from __future__ import annotations

import click

from batchframe.errors import BatchframeError


class Group(click.Group):
    """Shows our own errors as a sentence, not as a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BatchframeError as error:
            raise click.ClickException(str(error)) from None
