"""`python -m batchframe` is the command `batchframe`."""

from batchframe.cli import main

main(prog_name="batchframe")
