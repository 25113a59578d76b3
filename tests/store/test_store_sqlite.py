"""The SQLite store: what reaches the disk, who may open it, and what is refused."""

# ruff: noqa: ASYNC220, ASYNC240  a test may block: nothing else runs

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from sockerless_ecs.errors import StoreUnusable
from sockerless_ecs.model.container import Container
from sockerless_ecs.store import Put, Store, open_store
from sockerless_ecs.store.migrations import Schema, current_schema
from sockerless_ecs.store.sqlite import SqliteStore
from tests.store.records import CONTAINER, EVERY_KIND, IMAGE, NETWORK, TASK, VOLUME, filled, in_snapshot

_COMMIT_FOR_EVER = """
import sys, trio
from pathlib import Path
from dataclasses import replace
from sockerless_ecs.store import Put, open_store
from tests.store.records import VOLUME

async def main():
    store = await open_store(Path(sys.argv[1]))
    for number in range(1_000_000):
        await store.commit(Put(replace(VOLUME, created_ns=number)))
        print(number, flush=True)

trio.run(main)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


async def _filled(path: Path) -> None:
    store = await open_store(path)
    await store.commit(*(Put(record) for _, _, record in EVERY_KIND))
    await store.aclose()


def _ask(path: Path, question: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(question).fetchall()


async def _refusal(path: Path) -> str:
    """The message of the refusal to open; the files must be as they were."""
    before = path.read_bytes()
    with pytest.raises(StoreUnusable) as caught:
        await open_store(path)
    assert path.read_bytes() == before
    assert str(path) in str(caught.value)
    return str(caught.value)


async def test_records_are_there_after_closing_and_opening_again(path: Path) -> None:
    await _filled(path)
    store = await open_store(path)
    snapshot = await store.load()
    await store.aclose()
    assert in_snapshot(snapshot) == filled()


async def test_operator_can_ask_for_every_aws_object_by_name(path: Path) -> None:
    await _filled(path)
    assert _ask(
        path,
        "SELECT key, name, state, task_arn, task_definition_arn, agent_address, agent_token FROM containers",
    ) == [
        (
            CONTAINER.id,
            CONTAINER.name,
            "running",
            TASK.arn,
            CONTAINER.task_definition_arn,
            TASK.agent_address,
            TASK.agent_token,
        )
    ]
    assert _ask(path, "SELECT key, security_group_id, cloud_map_namespace_arn FROM networks") == [
        (NETWORK.id, NETWORK.security_group_id, NETWORK.cloud_map_namespace_arn)
    ]
    assert _ask(path, "SELECT key, efs_access_point_id FROM volumes") == [(VOLUME.name, "fsap-1")]
    ((ref, digest, config),) = _ask(path, "SELECT key, digest, config FROM images")
    assert (ref, digest) == (IMAGE.ref, IMAGE.digest)
    assert '"user":"nobody"' in str(config)


async def test_every_computed_column_finds_its_field(path: Path) -> None:
    """A renamed field of a record would leave its column empty."""
    await _filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        for table, _, _ in EVERY_KIND:
            columns = [row["name"] for row in connection.execute(f"PRAGMA table_xinfo({table})")]
            (row,) = connection.execute(f"SELECT {','.join(columns)} FROM {table}").fetchall()
            assert [name for name in columns if row[name] is None] == [], table


async def test_files_and_new_folders_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "lib" / "sockerless" / "state.db"
    umask = os.umask(0)
    try:
        store = await open_store(path)
        await store.commit(Put(CONTAINER))
    finally:
        os.umask(umask)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [
        0o700
    ] * 2
    await store.aclose()
    assert [file.name for file in path.parent.iterdir()] == ["state.db"]


async def test_permissions_that_were_too_wide_are_narrowed(path: Path) -> None:
    await _filled(path)
    path.chmod(0o644)
    await (await open_store(path)).aclose()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_second_daemon_is_refused_and_told_who_has_it(path: Path) -> None:
    store = await open_store(path)
    with pytest.raises(StoreUnusable, match=rf"{path} is in use by process {os.getpid()}"):
        await open_store(path)
    await store.commit(Put(CONTAINER))
    await store.aclose()
    await (await open_store(path)).aclose()


async def test_commit_that_returned_survives_sigkill(path: Path) -> None:
    arguments = [sys.executable, "-c", _COMMIT_FOR_EVER, str(path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "40\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        told = process.stdout.read().split("\n")
    acknowledged = max([40, *(int(line) for line in told if line)])
    store = await open_store(path)
    (volume,) = (await store.load()).volumes.values()
    await store.aclose()
    assert volume.created_ns >= acknowledged
    assert volume == replace(VOLUME, created_ns=volume.created_ns)


async def test_failed_commit_changes_nothing_and_the_next_one_works(path: Path) -> None:
    """A disk that fills up is played by the database's own size limit."""
    schema = current_schema()
    store = await SqliteStore.open(path, schema)
    connection = store._database.connection
    connection.execute("PRAGMA max_page_count = 1")
    huge = replace(VOLUME, name="huge", labels={"x": "x" * 2_000_000})
    with pytest.raises(StoreUnusable, match="cannot be written: database or disk is full"):
        await store.commit(Put(VOLUME), Put(huge))
    assert (await store.load()).volumes == {}
    connection.execute("PRAGMA max_page_count = 100000")
    await store.commit(Put(VOLUME))
    assert (await store.load()).volumes == {VOLUME.name: VOLUME}
    await store.aclose()


async def test_commits_that_wait_together_fail_together(path: Path) -> None:
    store = await open_store(path)
    assert isinstance(store, SqliteStore)
    store._database.connection.execute("DROP TABLE volumes")
    failed: list[int] = []

    async def commit(number: int) -> None:
        with pytest.raises(StoreUnusable, match="no such table"):
            await store.commit(Put(replace(VOLUME, created_ns=number)))
        failed.append(number)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(commit, number)
    await store.aclose()
    assert sorted(failed) == list(range(20))


async def test_close_waits_for_commits_already_called(path: Path) -> None:
    store = await open_store(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, Put(CONTAINER))
        await trio.testing.wait_all_tasks_blocked()
        await store.aclose()
    store = await open_store(path)
    assert await store.get(Container, CONTAINER.id) == CONTAINER
    await store.aclose()


async def test_cancelled_open_leaves_nothing_locked(path: Path) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await open_store(path)
    assert scope.cancelled_caught
    await (await open_store(path)).aclose()


async def test_of_daemons_that_begin_together_one_gets_the_database(path: Path) -> None:
    stores: list[Store] = []
    refused: list[str] = []

    async def begin() -> None:
        try:
            stores.append(await open_store(path))
        except StoreUnusable as error:
            refused.append(str(error))

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(begin)
    (store,) = stores
    await store.commit(Put(CONTAINER))
    await store.aclose()
    assert len(refused) == 7
    assert all("is in use by" in reason for reason in refused)
    assert [file.name for file in path.parent.iterdir()] == ["state.db"]


async def test_text_file_is_refused(path: Path) -> None:
    path.write_text("this is no database, it is a text file that is long enough to have a header" * 20)
    assert "file is not a database" in await _refusal(path)


async def test_empty_file_is_refused(path: Path) -> None:
    path.touch()
    assert "is empty" in await _refusal(path)


async def test_database_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE containers (id)")
    assert "some other program" in await _refusal(path)


async def test_damaged_database_is_refused(path: Path) -> None:
    await _filled(path)
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 512] = b"\xa5" * 512
    path.write_bytes(content)
    assert "was left as it is" in await _refusal(path)


async def test_truncated_database_is_refused(path: Path) -> None:
    await _filled(path)
    os.truncate(path, 3 * 4096)
    assert "was left as it is" in await _refusal(path)


async def test_record_that_cannot_be_read_is_named(path: Path) -> None:
    await _filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("""UPDATE networks SET document = json_remove(document, '$.name')""")
        connection.commit()
    store = await open_store(path)
    with pytest.raises(StoreUnusable, match=rf"record {NETWORK.id} of networks cannot be read: .*`name`"):
        await store.load()
    with pytest.raises(StoreUnusable, match="of networks cannot be read"):
        await store.get(type(NETWORK), NETWORK.id)
    await store.aclose()


async def test_field_that_this_release_does_not_know_is_no_obstacle(path: Path) -> None:
    await _filled(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("""UPDATE networks SET document = json_set(document, '$.later', 1)""")
        connection.commit()
    store = await open_store(path)
    assert await store.get(type(NETWORK), NETWORK.id) == NETWORK
    await store.aclose()


async def test_folder_that_cannot_be_made_is_a_clear_refusal(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnusable, match="Not a directory"):
        await open_store(tmp_path / "file" / "state.db")


def _rename_owner(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE volumes ADD COLUMN owner TEXT")
    connection.execute("UPDATE volumes SET owner = 'me'")


def _fail(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE volumes SET owner = 'half'")
    connection.execute("SELECT * FROM a_table_that_is_not_there")


def _later(*migrations: Callable[[sqlite3.Connection], None]) -> Schema:
    return replace(current_schema(), migrations=(*current_schema().migrations, *migrations))


async def test_older_database_is_brought_forward(path: Path) -> None:
    await _filled(path)
    store = await SqliteStore.open(path, _later(_rename_owner))
    assert (await store.load()).volumes == {VOLUME.name: VOLUME}
    await store.aclose()
    assert _ask(path, "SELECT owner FROM volumes") == [("me",)]
    assert _ask(path, "PRAGMA user_version") == [(current_schema().version + 1,)]
    # And again: nothing is migrated twice.
    await (await SqliteStore.open(path, _later(_rename_owner))).aclose()


async def test_failed_migration_leaves_the_version_before_it(path: Path) -> None:
    await _filled(path)
    with pytest.raises(StoreUnusable, match="a_table_that_is_not_there"):
        await SqliteStore.open(path, _later(_rename_owner, _fail))
    assert _ask(path, "PRAGMA user_version") == [(current_schema().version + 1,)]
    assert _ask(path, "SELECT owner FROM volumes") == [("me",)]


async def test_new_database_has_the_newest_version_without_migrating(path: Path) -> None:
    await (await SqliteStore.open(path, _later(_fail))).aclose()
    assert _ask(path, "PRAGMA user_version") == [(current_schema().version + 1,)]


async def test_newer_database_is_refused(path: Path) -> None:
    await (await SqliteStore.open(path, _later(_rename_owner))).aclose()
    assert "use the newer release that wrote it" in await _refusal(path)


async def test_newer_database_with_a_log_left_by_a_crash_keeps_both_files(path: Path, tmp_path: Path) -> None:
    """Looking must not fold the log into the file."""
    store = await SqliteStore.open(path, _later(_rename_owner))
    await store.commit(Put(VOLUME))
    crashed = tmp_path / "crashed" / "state.db"
    crashed.parent.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{crashed}{suffix}")
    await store.aclose()
    log = Path(f"{crashed}-wal").read_bytes()
    assert "newer release" in await _refusal(crashed)
    assert Path(f"{crashed}-wal").read_bytes() == log
