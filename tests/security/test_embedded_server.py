"""The embedded server is its own user's alone; its folders and other users: `tests/store/test_embedded.py`."""

import stat
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import make_url

import batchframe as bf
from batchframe.store import embedded


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads /proc")
def test_no_process_of_it_listens_on_the_network(server_url: str) -> None:
    """An open port is every user's of the machine, and with a slip of a firewall the whole world's."""
    home = Path(str(make_url(server_url).query["host"])).parents[1]
    postmaster = embedded.status(home).pid
    assert postmaster is not None
    processes = [postmaster, *_children(postmaster)]
    assert len(processes) > 3
    sockets = {inode for process in processes for inode in _sockets(process)}
    assert sockets
    assert not sockets & _network_sockets()


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _sockets(process: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{process}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def _network_sockets() -> set[str]:
    """The inodes of all TCP and UDP sockets of the machine."""
    found = set()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        path = Path("/proc/net") / table
        if path.exists():
            found |= {line.split()[9] for line in path.read_text().splitlines()[1:]}
    return found


def test_files_in_transit_are_the_users_alone(session: bf.Session) -> None:
    """The spool holds prompts on their way out, and answers on their way in."""
    pd.DataFrame({"text": ["t"]}).llm.batch("{text}", model="m").wait(30, progress=False)
    assert stat.S_IMODE((session.settings.home / "spool").stat().st_mode) == 0o700
