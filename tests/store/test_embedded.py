"""The embedded server as a notebook meets it: started by anyone, ended by nobody by accident, closed to others."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import sqlalchemy

import batchframe
from batchframe.errors import DatabaseError
from batchframe.store import embedded, embedded_address, embedded_binaries, embedded_data
from batchframe.store.embedded_errors import explained

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the embedded server runs on Linux and macOS")

AS_ROOT = os.geteuid() == 0
ONLY_ROOT = pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
REPOSITORY = Path(batchframe.__file__).parents[1]
START = "import sys; from pathlib import Path; from batchframe.store import embedded; "
START += "print(embedded.start(Path(sys.argv[1])), flush=True); "


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield from _home(tmp_path / "home")


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One running server for the tests that only look."""
    for home in _home(tmp_path_factory.mktemp("used") / "home"):
        embedded.start(home)
        yield home


def _home(path: Path) -> Iterator[Path]:
    try:
        yield path
    finally:
        embedded.stop(path)
        with contextlib.suppress(DatabaseError):
            _forget_short_name(embedded.url(path))


def _socket_folder(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def _forget_short_name(url: str) -> None:
    """What a reboot or a cleaner of the temporary folder does."""
    if (link := _socket_folder(url)).is_symlink():
        shutil.rmtree(link.parent)


def _ask(url: str, question: str) -> object:
    with psycopg.connect(url, connect_timeout=10) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row is not None
        return row[0]


def _keep(url: str, value: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value integer)")
        connection.execute("INSERT INTO kept VALUES (%s)", [value])


def _postmaster(home: Path) -> int:
    pid = embedded.status(home).pid
    assert pid is not None
    return pid


def _kill(home: Path) -> int:
    """As the kernel does when memory runs out; back when the postmaster is gone, though not its backends."""
    pid = _postmaster(home)
    os.kill(pid, signal.SIGKILL)
    assert embedded._until(lambda: not embedded_address.listens(home / "postgres/socket"), 10)
    return pid


def _python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process of the same user, with its own session so that it may be interrupted like a terminal's."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


# --- its life ---------------------------------------------------------------------------------------------------


def test_a_home_is_started_stopped_and_told_of(home: Path) -> None:
    """Else nothing works out of the box, or `batchframe` cannot say where the state lives."""
    before = embedded.status(home)
    assert (before.running, before.pid, before.size_bytes) == (False, None, 0)
    assert not home.exists(), "looking must not make anything"
    assert embedded.stop(home) is False

    url = embedded.start(home)
    assert url == embedded.url(home)
    assert str(_ask(url, "SHOW server_version")) == embedded.status(home).version
    during = embedded.status(home)
    assert during.running
    assert during.size_bytes > 10_000_000
    assert during.data_directory.is_relative_to(home)
    assert during.log_file.read_text()
    os.kill(_postmaster(home), 0)

    assert embedded.stop(home) is True
    after = embedded.status(home)
    assert (after.running, after.pid) == (False, None)
    assert embedded.stop(home) is False
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


def test_what_was_committed_is_there_after_a_stop(home: Path) -> None:
    """Else a night's answers are gone in the morning."""
    _keep(embedded.start(home), 42)
    embedded.stop(home)
    assert _ask(embedded.start(home), "SELECT value FROM kept") == 42


def test_a_url_before_the_first_start_is_refused(home: Path) -> None:
    """Else a program waits at an address nobody ever opens."""
    with pytest.raises(DatabaseError, match="no embedded database yet"):
        embedded.url(home)


def test_a_second_process_shares_the_server(used_home: Path) -> None:
    """Else a worker cannot take over the notebook's jobs."""
    pid = _postmaster(used_home)
    with _python(START, used_home) as other:
        answer, complaint = other.communicate()
    assert answer.strip() == embedded.url(used_home), complaint
    assert _postmaster(used_home) == pid


def test_many_processes_and_threads_start_one_server(home: Path) -> None:
    """Else two cells run at once make two clusters, or one of them fails."""
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(_python(START, home)) for _ in range(6)]
        with ThreadPoolExecutor(8) as threads:
            urls = set(threads.map(embedded.start, [home] * 8))
        urls |= {other.communicate()[0].strip() for other in others}
    assert urls == {embedded.url(home)}
    assert embedded.status(home).log_file.read_text().count("starting PostgreSQL") == 1


def test_starting_a_running_server_is_quick(used_home: Path) -> None:
    """Else every restart of a kernel waits. The best of ten, so that the machine's load does not count."""

    def one() -> float:
        begun = time.perf_counter()
        embedded.start(used_home)
        return time.perf_counter() - begun

    assert min(one() for _ in range(10)) < 0.05


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT, signal.SIGHUP])
def test_it_outlives_whoever_started_it(home: Path, signal_number: int) -> None:
    """Else Ctrl-C, a closed terminal or a restarted kernel takes the database from all other processes."""
    # Also under nohup and in the background of a shell, which mute them.
    hears = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    hears += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    with _python(hears + START + "sys.stdin.read()", home) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        assert os.getsid(_postmaster(home)) != os.getsid(starter.pid)
        os.killpg(starter.pid, signal_number)
        starter.communicate()
    assert starter.returncode != 0
    assert _ask(url, "SELECT 1") == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_it_is_no_child_of_whoever_started_it(home: Path) -> None:
    """Else ipykernel, which ends all its children at shutdown, ends the database, or a zombie stays behind."""
    embedded.start(home)
    parent = Path(f"/proc/{_postmaster(home)}/stat").read_text().rpartition(")")[2].split()[1]
    assert int(parent) != os.getpid()


def test_a_stuck_server_is_stopped_all_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one process of it that hangs leaves the user with no server and no way to a new one."""
    url = embedded.start(home)
    _keep(url, 5)
    monkeypatch.setattr(embedded, "STOP_SIGNALS", {"INT": 0.2, "QUIT": 30.0})
    with psycopg.connect(url) as stuck:
        os.kill(stuck.info.backend_pid, signal.SIGSTOP)
        assert embedded.stop(home) is True
        stuck.close()
    assert _ask(embedded.start(home), "SELECT value FROM kept") == 5


# --- accidents ----------------------------------------------------------------------------------------------------


def test_it_recovers_after_its_death(home: Path) -> None:
    """Else one out-of-memory kill makes the state unreachable; or what was committed is lost."""
    url = embedded.start(home)
    _keep(url, 1)
    with psycopg.connect(url):  # a client whose backend outlives the postmaster for a moment
        killed = _kill(home)
        assert embedded.start(home) == url
    assert _postmaster(home) != killed
    assert _ask(url, "SELECT value FROM kept") == 1


def test_start_waits_until_a_crashed_server_takes_connections_again(home: Path) -> None:
    """Else the call that repairs a crash hands out a URL that answers "the database system is in recovery mode"."""
    url = embedded.start(home)
    with psycopg.connect(url) as victim, psycopg.connect(url) as witness:
        os.kill(victim.info.backend_pid, signal.SIGKILL)  # the postmaster lives, ends all others and begins anew
        with pytest.raises(psycopg.OperationalError):
            witness.execute("SELECT pg_sleep(60)")
        victim.close()
    for _ in range(20):
        assert _ask(embedded.start(home), "SELECT 1") == 1


def test_a_process_id_used_again_does_not_pass_for_the_server(home: Path) -> None:
    """Else, after a reboot, Postgres refuses to start beside an innocent process, or `stop` ends that process."""
    embedded.start(home)
    _kill(home)
    account = embedded_binaries.server_account()
    user = {"user": account.uid, "group": account.gid, "extra_groups": []} if account.is_lent else {}
    with subprocess.Popen(["sleep", "600"], **user) as innocent:  # type: ignore[call-overload]
        file = home / "postgres/data/postmaster.pid"
        lines = file.read_text().split("\n")
        file.write_text("\n".join([str(innocent.pid), *lines[1:]]))
        try:
            url = embedded.start(home)
            assert _ask(url, "SELECT 1") == 1
            assert embedded.stop(home)
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_a_start_that_was_killed_leaves_nothing_half_made(home: Path) -> None:
    """Else the first start, interrupted, spoils all that follow."""
    half_made = home / "postgres/data.new-killed"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    assert _ask(embedded.start(home), "SELECT 1") == 1
    assert sorted(path.name for path in (home / "postgres").iterdir()) == [
        *("alive", "data", "lock", "server.log", "socket")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "a long path/" + "/".join(["directory" * 5] * 5),
        'it\'s "my" home; $HOME `id` & more',
        "100%25 #1?a=b",
        "данные,数据",
        "two\nlines",
    ],
)
def test_any_path_serves_as_home(tmp_path: Path, name: str) -> None:
    """Else a user with a space in the name, or a deep folder, cannot work; and cleaning /tmp would part us for good."""
    for home in _home(tmp_path / name):
        url = embedded.start(home)
        _keep(url, 7)
        assert "%" not in url, "Alembic's configuration would take it for its own"
        engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+psycopg:", 1))
        with engine.connect() as connection:
            assert connection.scalar(sqlalchemy.text("SELECT value FROM kept")) == 7
        engine.dispose()

        assert _socket_folder(url).is_symlink(), "the plain short name"
        _forget_short_name(url)
        assert embedded.url(home) == url, "running processes find their server again"
        assert _ask(url, "SELECT 1") == 1

        _kill(home)
        _forget_short_name(url)
        assert embedded.start(home) == url, "after a reboot"
        assert _ask(url, "SELECT value FROM kept") == 7


def test_another_users_folder_in_tmp_is_not_trusted(tmp_path: Path) -> None:
    """Else a neighbour who made our folder first could read the traffic, or keep us from starting."""
    for home in _home(tmp_path / "with space"):
        url = embedded.start(home)
        first = _socket_folder(url).parent
        _forget_short_name(url)
        first.mkdir()
        if AS_ROOT:
            os.chown(first, pwd.getpwnam("nobody").pw_uid, -1)
            first.chmod(0o700)
        else:
            first.chmod(0o777)
        try:
            second = embedded.start(home)
            assert _socket_folder(second).parent != first
            assert _ask(second, "SELECT 1") == 1
            _forget_short_name(second)
        finally:
            first.rmdir()


# --- who may come in ------------------------------------------------------------------------------------------------


def test_its_folders_are_private(used_home: Path) -> None:
    """Else any user of the machine reads everybody's prompts and answers."""

    def mode(name: str) -> int:
        return stat.S_IMODE((used_home / name).stat().st_mode)

    assert mode(".") == 0o700
    assert mode("postgres") == (0o710 if AS_ROOT else 0o700)
    assert mode("postgres/socket") == mode("postgres/data") == 0o700
    assert mode("postgres/server.log") == mode("postgres/data/pg_hba.conf") == 0o600
    assert _ask(embedded.url(used_home), "SHOW listen_addresses") == ""


def test_the_url_refuses_a_server_of_another_user(used_home: Path) -> None:
    """Else a false server at an old address gets the prompts."""
    url = embedded.url(used_home)
    assert f"requirepeer={embedded_binaries.server_account().name}" in url
    with pytest.raises(psycopg.OperationalError, match="requirepeer"):
        psycopg.connect(url.rpartition("=")[0] + "=daemon")


@ONLY_ROOT
def test_another_user_is_kept_out_twice() -> None:
    """Else one wrong mode on a folder is enough: the server itself must refuse, too."""
    connect = "import os, sys, psycopg; os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1])); "
    connect += "psycopg.connect(sys.argv[2])"
    nobody = pwd.getpwnam("nobody").pw_uid
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        for home in _home(Path(parent) / "home"):
            url = embedded.start(home)
            with _python(connect, nobody, url) as other:
                assert "Permission denied" in other.communicate()[1]

            socket = home / "postgres/socket"
            for folder in (home, home / "postgres", socket):
                folder.chmod(0o755)
            (socket / ".s.PGSQL.5432").chmod(0o777)
            with _python(connect, nobody, url) as other:
                assert "Peer authentication failed" in other.communicate()[1]


@ONLY_ROOT
def test_roots_folders_stay_closed(used_home: Path) -> None:
    """Else using batchframe as root would open root's files to everyone, as the wheel's own management does."""
    data = used_home / "postgres/data"
    assert data.stat().st_uid == pwd.getpwnam(embedded_binaries.ROOTS_ACCOUNT).pw_uid
    closed = [folder for folder in data.parents if not folder.stat().st_mode & 0o001]
    assert used_home in closed
    assert used_home.stat().st_uid == 0


@ONLY_ROOT
def test_programs_that_only_root_reaches_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a virtual environment under /root, the usual place for root's, cannot start the server."""
    spec = importlib.util.find_spec(embedded_binaries.PACKAGE)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        closed = Path(parent) / "closed"
        closed.mkdir(mode=0o700)
        shutil.copytree(package / embedded_binaries.INSTALLED, closed / package.name / embedded_binaries.INSTALLED)
        shutil.copytree(package.with_name(f"{package.name}.libs"), closed / f"{package.name}.libs")
        found = SimpleNamespace(submodule_search_locations=[str(closed / package.name)])
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
        monkeypatch.setattr(embedded_binaries, "SHARED_COPIES", Path(parent) / "shared")
        for home in _home(Path(parent) / "home"):
            assert _ask(embedded.start(home), "SELECT 1") == 1
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert len(list((Path(parent) / "shared").iterdir())) == 1


@ONLY_ROOT
def test_a_volume_from_another_container_is_taken_over(home: Path) -> None:
    """Else a new image, in which the system user has another number, cannot open the old data."""
    _keep(embedded.start(home), 3)
    embedded.stop(home)
    for path in ((home / "postgres/data"), *(home / "postgres/data").rglob("*")):
        os.chown(path, 12345, 12345)
    assert _ask(embedded.start(home), "SELECT value FROM kept") == 3


def test_variables_of_the_user_stay_out_of_the_server(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a PGPORT set for another database hides the server, or a provider's key lives on in it."""
    variables = {"PGPORT": "1", "PGHOST": "nowhere.invalid", "PGUSER": "x", "PGDATABASE": "x", "PGDATA": "/x"}
    variables |= {"OPENAI_API_KEY": "sk-secret", "LANG": "xx_XX.none", "LC_ALL": "xx_XX.none"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert _ask(embedded.start(home), "SELECT 1") == 1
    environment = Path(f"/proc/{_postmaster(home)}/environ")
    if environment.exists():
        assert b"sk-secret" not in environment.read_bytes()


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("max_wal_size", "2GB"),
        ("max_connections", "100"),
        ("shared_buffers", "512MB"),
        ("jit", "off"),
        ("TimeZone", "UTC"),
        ("dynamic_shared_memory_type", "mmap"),
    ],
)
def test_a_setting_is_in_force(used_home: Path, setting: str, value: str) -> None:
    """Else the figures of the design, or its promise that nothing committed is lost, do not hold."""
    assert _ask(embedded.url(used_home), f"SHOW {setting}") == value


def test_text_sorts_by_code_point_and_knows_unicode(used_home: Path) -> None:
    """Else the order of rows depends on the machine's locale, and an index breaks when the system's changes."""
    url = embedded.url(used_home)
    assert _ask(url, "SELECT 'a' < 'Z'") is False
    assert _ask(url, "SELECT upper('é')") == "É"


def test_every_start_writes_the_settings_anew(home: Path) -> None:
    """Else an upgrade of batchframe leaves old databases with old settings."""
    embedded.start(home)
    embedded.stop(home)
    (home / "postgres/data/batchframe.conf").write_text("fsync = off\n")
    assert _ask(embedded.start(home), "SHOW fsync") == "on"


def test_the_log_is_bounded_also_while_the_server_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a server that runs for months fills the disk it needs."""
    url = embedded.start(home)
    log = embedded.status(home).log_file
    monkeypatch.setattr(embedded, "LOG_BYTES", 10)
    embedded.start(home)
    assert log.stat().st_size == 0
    assert "ready to accept" in log.with_name("server.log.1").read_text()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url.replace("/postgres?", "/nothing_of_this_name?"))
    assert "nothing_of_this_name" in log.read_text()
    assert "\0" not in log.read_text()


def test_the_log_holds_no_rows(home: Path) -> None:
    """Else prompts end in the bug reports that people paste logs into."""
    url = embedded.start(home)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE patient (name text PRIMARY KEY)")
        connection.execute("INSERT INTO patient VALUES ('Ada Lovelace')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO patient VALUES ('Ada Lovelace')")
    log = embedded.status(home).log_file.read_text()
    assert "duplicate key" in log
    assert "Lovelace" not in log


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("made_by", "words"), [("17", "made by PostgreSQL 17"), ("", "holds no PostgreSQL data")])
def test_data_of_another_version_is_named(home: Path, made_by: str, words: str) -> None:
    """Else the user is told nothing, or worse: the data is made anew over the old."""
    data = home / "postgres/data"
    data.mkdir(parents=True)
    if made_by:
        (data / "PG_VERSION").write_text(f"{made_by}\n")
    before = sorted(data.iterdir())
    with pytest.raises(DatabaseError, match=words) as caught:
        embedded.start(home)
    assert "BATCHFRAME_DATABASE_URL" in str(caught.value)
    assert sorted(data.iterdir()) == before


def test_a_server_that_ends_at_its_start_is_quoted(home: Path) -> None:
    """Else the reason sits in a log that the user does not know of; and the next start after the repair must work."""
    embedded.start(home)
    embedded.stop(home)
    own_settings = home / "postgres/data/postgresql.auto.conf"
    own_settings.write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(DatabaseError, match="shared_buffers") as caught:
        embedded.start(home)
    assert "server.log" in str(caught.value)
    assert "starting PostgreSQL" not in str(caught.value), "only what this start said"
    assert embedded.status(home).running is False
    own_settings.write_text("")
    assert _ask(embedded.start(home), "SELECT 1") == 1


def test_a_server_that_does_not_get_ready_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the notebook hangs for ever without a word."""
    url = embedded.start(home)
    monkeypatch.setattr(embedded.Cluster, "is_ready", lambda _: False)
    monkeypatch.setattr(embedded, "READY_SECONDS", 0.05)
    with pytest.raises(DatabaseError, match="not ready"):
        embedded.start(home)
    assert _ask(url, "SELECT 1") == 1


def test_missing_programs_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a platform without a wheel shows a FileNotFoundError from deep inside."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(DatabaseError, match=r"pip install --force-reinstall .* BATCHFRAME_DATABASE_URL"):
        embedded.start(home)


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Else the user does not learn which folder, nor of BATCHFRAME_HOME."""
    tmp_path.chmod(0o500)
    with pytest.raises(DatabaseError, match="Permission denied") as caught:
        embedded.start(tmp_path / "home")
    assert str(tmp_path) in str(caught.value)
    assert "BATCHFRAME_HOME" in str(caught.value)


@ONLY_ROOT
def test_the_home_of_another_user_is_left_alone(home: Path) -> None:
    """Else `sudo` once makes a user's database unusable for the user."""
    (home / "postgres").mkdir(parents=True)
    os.chown(home / "postgres", pwd.getpwnam("nobody").pw_uid, -1)
    for act in (embedded.start, embedded.stop, embedded.status, embedded.url):
        with pytest.raises(DatabaseError, match="belongs to another user"):
            act(home)
    os.chown(home / "postgres", 0, -1)


def test_a_user_without_a_name_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else containers with an arbitrary user id see only initdb's refusal."""
    monkeypatch.setattr(os, "geteuid", lambda: 2_000_000_001)
    with pytest.raises(DatabaseError, match="/etc/passwd"):
        embedded_binaries.server_account()


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("FATAL:  could not create shared memory segment: No space left on device", "shared memory"),
        ('PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device', "disk space"),
        ("selecting dynamic shared memory implementation ... posix\nPANIC:  No space left on device", "disk space"),
        ("[Errno 122] Disk quota exceeded: '/home/ada'", "disk space"),
        ("[Errno 30] Read-only file system: '/home/ada'", "BATCHFRAME_HOME"),
        ("[Errno 37] No locks available", "local disk"),
        ('FATAL:  data directory "/data" has wrong ownership', "who owns"),
        ("postgres: /lib/x86_64-linux-gnu/libm.so.6: version `GLIBC_2.27' not found", "reinstall"),
        ("FATAL:  something new", "BATCHFRAME_DATABASE_URL"),
    ],
)
def test_an_error_says_what_to_do_next(said: str, advice: str) -> None:
    """Else the reader has to know Postgres to go on."""
    message = str(explained("It did not work:", "earlier\n" * 100 + said))
    assert said.splitlines()[-1] in message
    assert message.count("earlier") < 10
    assert advice in message.splitlines()[-1]


def test_a_full_disk_leaves_nothing_half_made(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else freeing space is not enough, and the user has to know which folder to delete."""
    with tempfile.TemporaryDirectory() as folder, monkeypatch.context() as patched:
        Path(folder).chmod(0o755)  # root's server runs as another user
        initdb = Path(folder) / "initdb"
        initdb.write_text("#!/bin/sh\necho 'could not write file: No space left on device' >&2; exit 1\n")
        initdb.chmod(0o755)
        patched.setattr(embedded_data, "programs", lambda _: Path(folder))
        with pytest.raises(DatabaseError, match="disk space"):
            embedded.start(home)
    assert not list((home / "postgres").glob("data*"))
    assert _ask(embedded.start(home), "SELECT 1") == 1
