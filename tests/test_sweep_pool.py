"""The processes of a sweep, with a small program in the worker's place; and the turns they take at the store."""

import fcntl
import os
import sys
from pathlib import Path

import psutil
import pytest

from pipeline import events
from pipeline.lock import busy, locked
from pipeline.sweep.pool import Failed, Finished, Pool

WORKER = """
import json, os, signal, sys
with os.fdopen(int(sys.argv[1]), "w") as stream:
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if order["do"] == "hang":
            signal.pause()
        told = {"event": order["do"], **order["fields"]}
        for one in ({"event": "start", "component": "Trainer", "time": 1.5}, told):
            print(json.dumps(one), file=stream, flush=True)
"""


@pytest.fixture
def pool(tmp_path):
    command = [sys.executable, "-c", WORKER]
    with locked(tmp_path) as lock, Pool(tmp_path, lock=lock, command=command) as made:
        yield made


def heard(pool: Pool):
    """The next thing that is told, however long it takes."""
    return next(told for _ in range(10_000) if (told := pool.next(0.1)) is not None)


def test_an_order_is_told_from_start_to_end(pool):
    pool.order(0, do="finished", fields={"result": {"model": 3}})
    assert pool.busy == {0}
    assert heard(pool) == (0, events.Start("Trainer", 1.5))
    assert heard(pool) == (0, Finished({"model": 3}))
    assert pool.busy == set()
    failed = {"component": "Trainer", "reason": "no", "time": 2.5, "mendable": True}
    pool.order(0, do="failed", fields=failed)
    heard(pool)
    assert heard(pool) == (0, Failed("Trainer", "no", mendable=True))


def test_a_process_that_dies_fails_its_order_and_is_replaced(pool):
    pool.order(1, do="die")
    assert heard(pool) == (
        1,
        Failed(None, "its process was killed (signal 9). If nobody killed it, memory ran out"),
    )
    pool.order(1, do="finished", fields={"result": {}})
    assert heard(pool) == (1, events.Start("Trainer", 1.5))
    assert heard(pool) == (1, Finished({}))


def test_of_an_order_that_is_stopped_nothing_more_is_heard(pool):
    pool.order(0, do="hang")
    pool.order(1, do="hang")
    pool.stop(0)
    assert pool.busy == {1}
    assert pool.next(0.1) is None
    pool.order(0, do="finished", fields={"result": {}})
    assert heard(pool) == (0, events.Start("Trainer", 1.5))


def test_the_folder_is_locked_until_the_last_process_is_gone(tmp_path):
    command = [sys.executable, "-c", WORKER]
    others = psutil.Process(os.getpid()).children()
    with locked(tmp_path) as lock:
        pool = Pool(tmp_path, lock=lock, command=command)
        pool.order(0, do="hang")
    assert busy(tmp_path)
    with pool:
        pass
    assert not busy(tmp_path)
    assert psutil.Process(os.getpid()).children() == others


def test_one_process_at_a_time_has_the_store_open(tmp_path):
    from ml_metadata.proto import metadata_store_pb2 as proto

    from pipeline.runners import Metadata

    connection = proto.ConnectionConfig()
    connection.sqlite.filename_uri = str(tmp_path / "metadata.sqlite")
    connection.sqlite.connection_mode = proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    store = Metadata(connection)
    assert not taken(tmp_path)
    with store:
        with store:  # as TFX does when it publishes a failure
            assert taken(tmp_path)
        assert taken(tmp_path)
        assert store.store.get_contexts() == []
    assert not taken(tmp_path)
    connection.sqlite.filename_uri = str(tmp_path / "nowhere" / "metadata.sqlite")
    with pytest.raises(FileNotFoundError), Metadata(connection):
        pass


def taken(folder: Path) -> bool:
    """Whether another process would have to wait for the store."""
    with (folder / ".metadata.sqlite.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
