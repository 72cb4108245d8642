"""The command line: one file a group of commands, each a few lines over the rooms below."""

from __future__ import annotations

import click

from batchframe import __version__
from batchframe.cli.budget import budget
from batchframe.cli.clean import clean
from batchframe.cli.db import db
from batchframe.cli.demo import demo
from batchframe.cli.doctor import doctor
from batchframe.cli.evaluate import evaluate
from batchframe.cli.group import Group
from batchframe.cli.job import job
from batchframe.cli.jobs import jobs
from batchframe.cli.keys import keys
from batchframe.cli.serve import serve
from batchframe.cli.simulate import simulate
from batchframe.cli.worker import worker


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="batchframe")
def main() -> None:
    """Label DataFrames through half-price Batch APIs. Settings come from the environment (BATCHFRAME_…, OPENAI_…)."""


for _command in (worker, serve, keys, jobs, job, evaluate, budget, clean, doctor, db, simulate, demo):
    main.add_command(_command)
