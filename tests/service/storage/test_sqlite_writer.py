"""The one writer: shared commits, errors that cost nobody else anything, and another process that holds the lock."""

import asyncio
import sqlite3
import threading

import pytest

from approvals.errors import Invalid, Unavailable
from approvals.service.storage.sqlite import Sqlite


@pytest.fixture
async def database(tmp_path):
    (tmp_path / "d.db").touch()
    made = Sqlite(tmp_path / "d.db")
    connection = made.connect()
    connection.execute("CREATE TABLE line (n INTEGER UNIQUE)")
    connection.close()
    made.start()
    yield made
    made.stop()


def put(number, *, fail=None):
    def work(tx):
        tx._connection.execute("INSERT INTO line VALUES (?)", (number,))
        if fail is not None:
            raise fail
        return number

    return work


def kept(database):
    connection = database.connect()
    rows = connection.execute("SELECT n FROM line ORDER BY n").fetchall()
    connection.close()
    return [number for (number,) in rows]


async def test_a_crowd_is_written_whole_and_each_gets_its_own_answer(database):
    answers = await asyncio.gather(*(database.write(put(number)) for number in range(200)))
    assert answers == list(range(200))
    assert kept(database) == list(range(200))


async def test_an_error_in_a_crowd_fails_its_own_work_alone(database):
    works = [put(number, fail=Invalid("no") if number % 7 == 3 else None) for number in range(50)]
    answers = await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)
    failed = [number for number, answer in enumerate(answers) if isinstance(answer, Invalid)]
    assert failed == [number for number in range(50) if number % 7 == 3]
    assert kept(database) == [number for number in range(50) if number % 7 != 3]


async def test_a_constraint_that_two_of_a_crowd_break_lets_one_through(database):
    answers = await asyncio.gather(*(database.write(put(1)) for _ in range(5)), return_exceptions=True)
    assert sum(answer == 1 for answer in answers) == 1
    assert sum(isinstance(answer, sqlite3.IntegrityError) for answer in answers) == 4


async def test_hooks_run_after_the_commit_and_not_after_an_error(database):
    seen = []

    def work(number, fail=None):
        def body(tx):
            tx.after_commit.append(lambda: seen.append((number, number in kept(database))))
            return put(number, fail=fail)(tx)

        return body

    await database.write(work(1))
    with pytest.raises(Invalid):
        await database.write(work(2, Invalid("no")))
    assert seen == [(1, True)]


async def test_p4_a_wait_that_is_cancelled_undoes_nothing(database):
    waiting = asyncio.create_task(database.write(put(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    await database.write(put(2))
    assert kept(database) == [1, 2]


async def test_another_processs_lock_is_waited_for_without_blocking_the_loop(database):
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(database.write(put(1)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    other.execute("COMMIT")
    other.close()
    assert await waiting == 1


async def test_p5_a_lock_that_never_ends_is_unavailable_and_nothing_is_half_written(database, monkeypatch):
    monkeypatch.setattr("approvals.service.storage.sqlite_writer.BUSY_PATIENCE", 0.01)
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await database.write(put(1))
    other.execute("COMMIT")
    other.close()
    assert await database.write(put(2)) == 2
    assert kept(database) == [2]


async def test_p5_a_closed_database_takes_no_work(tmp_path):
    with pytest.raises(Unavailable):
        await Sqlite(tmp_path / "d.db").write(put(1))


async def test_readers_are_lent_and_come_back_however_many_threads_there_were(database):
    def read():
        database.read_now(lambda reader: reader._connection.execute("SELECT 1").fetchone())

    for _ in range(20):
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert len(database._readers) == 1
