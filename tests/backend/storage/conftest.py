"""The same tests on SQLite and on PostgreSQL, the latter where its packages are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from helpers.backend.executors.exchange import Exchange
from helpers.backend.storage.database import Database, Sqlite
from helpers.backend.storage.postgres import Postgres
from helpers.backend.storage.store import Store
from tests import postgres


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    with postgres.cluster() as found:
        yield found


@pytest.fixture(params=["sqlite", "postgresql"])
def table(request, tmp_path) -> Iterator[Callable[[], Database]]:
    """Opens one and the same table, each time as another process would."""
    opened: list[Database] = []
    address = request.getfixturevalue("cluster").new() if request.param == "postgresql" else None

    def again() -> Database:
        if address:
            opened.append(Postgres(address, server=str(len(opened) + 1)))
        else:
            opened.append(Sqlite(tmp_path / "workbook.db"))
        return opened[-1]

    yield again
    for database in opened:
        database.close()


@pytest.fixture
def store(table, tmp_path) -> Store:
    return Store(tmp_path, table())


@pytest.fixture
def servers(cluster, tmp_path) -> Iterator[list[Store]]:
    """Two servers on one table, each with a state folder of its own and one place for files."""
    address, place = cluster.new(), Exchange.at(str(tmp_path / "place"))
    made = [
        Store(tmp_path / name, Postgres(address, server=str(at)), place)
        for at, name in enumerate(("one", "two"), 1)
    ]
    for store in made:
        store.enter()
    yield made
    for store in made:
        store.close()
