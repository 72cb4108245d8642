"""`batchframe keys`: who may call the proxy."""

from batchframe.proxy import keymaking
from batchframe.store import keys
from batchframe.store.database import Database
from tests.cli.conftest import Run


def test_a_key_is_printed_once_and_only_its_hash_is_kept(run: Run, database: Database) -> None:
    """Whoever reads the database, a backup or the list cannot call with what is there."""
    made = run("keys", "create", "ada", "--budget", "2.5", "--rate", "60", "--queue", "1000").output.strip()
    assert made.startswith("bf-")
    with database.transaction() as connection:
        key = keys.find(connection, keymaking.digest(made))
        assert key is not None
        assert made not in str(connection.exec_driver_sql("SELECT * FROM api_key").all())
    assert (key.name, str(key.budget_usd), key.rate_limit, key.queue_limit) == ("ada", "2.5", 60, 1000)
    listed = run("keys", "list").output
    assert made not in listed
    assert keymaking.shown(made) in listed
    assert "$2.50" in listed


def test_two_keys_differ_and_have_names_of_their_own(run: Run) -> None:
    """A name stands for one client; a second key under it would hide whose requests they are."""
    first, second = (run("keys", "create", name).output for name in ("ada", "bob"))
    assert first != second
    assert "There is a key 'ada' already" in run("keys", "create", "ada", status=1).output


def test_a_revoked_key_is_known_as_one_and_stays_in_the_list(run: Run, database: Database) -> None:
    """The answer to a key that leaked; its spending is still to be seen."""
    made = run("keys", "create", "ada").output.strip()
    assert run("keys", "revoke", "ada").output == "ada is revoked.\n"
    with database.transaction() as connection:
        key = keys.find(connection, keymaking.digest(made))
        assert key is not None
        assert key.revoked_at is not None
    _, row = run("keys", "list").output.splitlines()
    assert row.startswith("ada ")
    assert row.endswith(" revoked")
    assert "no key 'ada' that could be revoked" in run("keys", "revoke", "ada", status=1).output
    assert "already" in run("keys", "create", "ada", status=1).output


def test_limits_that_mean_nothing_are_refused(run: Run) -> None:
    """A budget of zero or a negative rate is a slip; the key it made would be in use before anybody noticed."""
    assert "above zero" in run("keys", "create", "ada", "--budget", "0", status=1).output
    run("keys", "create", "ada", "--rate", "-1", status=2)
    run("keys", "create", " ", status=2)
    assert run("keys", "list").output.startswith("There is no key yet")


def test_a_budget_can_be_changed_and_lifted(run: Run, database: Database) -> None:
    """A client that has used up its budget goes on with the same key."""
    run("keys", "create", "ada", "--budget", "1")
    assert run("keys", "budget", "ada", "5").output == "ada: $5.00\n"
    assert run("keys", "budget", "ada", "--lift").output == "ada: no budget\n"
    run("keys", "budget", "ada", status=2)
    assert "no key 'bob'" in run("keys", "budget", "bob", "5", status=1).output
    with database.transaction() as connection:
        assert keys.every(connection)[0].budget_usd is None
