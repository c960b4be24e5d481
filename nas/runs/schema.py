"""The version of the tables: making them, bringing older ones up to date, refusing newer ones."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, inspect, select, text

from nas.errors import NasError
from nas.runs.models import SCHEMA_VERSION, Base, SchemaRow

_STEPS = {
    1: (
        "ALTER TABLE runs ADD COLUMN heartbeat VARCHAR NOT NULL DEFAULT ''",
        "UPDATE runs SET heartbeat = created",
    ),
    2: (
        """CREATE TABLE evaluations (
            digest VARCHAR NOT NULL, evaluator VARCHAR NOT NULL, recipe VARCHAR NOT NULL, epochs INTEGER NOT NULL,
            seed INTEGER NOT NULL, subject VARCHAR NOT NULL, state VARCHAR NOT NULL, attempts INTEGER NOT NULL,
            holder VARCHAR, leased_until FLOAT, curve JSON NOT NULL, accuracy FLOAT, latency_ms FLOAT, seconds FLOAT,
            worker VARCHAR NOT NULL, error VARCHAR, checkpoint VARCHAR, finished VARCHAR,
            PRIMARY KEY (digest, evaluator, recipe, epochs, seed))""",
        """CREATE TABLE searches (
            name VARCHAR NOT NULL PRIMARY KEY, created VARCHAR NOT NULL, question JSON NOT NULL)""",
        """CREATE TABLE search_trials (
            search VARCHAR NOT NULL REFERENCES searches (name) ON DELETE CASCADE, number INTEGER NOT NULL,
            ask VARCHAR NOT NULL, codes JSON NOT NULL, digest VARCHAR NOT NULL, repeat INTEGER NOT NULL,
            why VARCHAR NOT NULL, state VARCHAR NOT NULL, curve JSON NOT NULL, latency_ms FLOAT NOT NULL,
            seconds FLOAT NOT NULL, worker VARCHAR NOT NULL, reason VARCHAR, reused BOOLEAN NOT NULL,
            PRIMARY KEY (search, number))""",
    ),
}
"""Version → what makes the next version of it. No statement that only one kind of database understands."""


def found_version(connection: Connection, place: str) -> int | None:
    """The version of the tables, None where there are none yet.

    Raises `NasError` where tables of the same names belong to another program.
    """
    there = set(Base.metadata.tables) & set(inspect(connection).get_table_names())
    if not there:
        return None
    versions = connection.scalars(select(SchemaRow.version)).all() if SchemaRow.__tablename__ in there else []
    if len(versions) != 1 or not isinstance(versions[0], int) or versions[0] < 1:
        raise NasError(
            f"{place} must be a database of nas, or hold no tables called {', '.join(sorted(there))}, but these are"
            " of another program; choose another database with --storage."
        )
    return versions[0]


def prepare(connection: Connection, place: str) -> None:
    """Make the tables where there are none, and bring those of an older version up to date.

    The transaction must be alone in writing. Raises `NasError` for the tables of a newer version, which stay as they
    are.
    """
    version = found_version(connection, place)
    if version == SCHEMA_VERSION:
        return
    if version is None:
        Base.metadata.create_all(connection)
    elif version > SCHEMA_VERSION:
        raise NasError(
            f"{place} was made by a newer version of nas: its tables have schema {version}, and this version knows"
            f" {SCHEMA_VERSION}; upgrade nas, or choose another database with --storage."
        )
    else:
        for step in range(version, SCHEMA_VERSION):
            for statement in _STEPS[step]:
                connection.execute(text(statement))
        connection.execute(delete(SchemaRow))
    connection.execute(insert(SchemaRow).values(version=SCHEMA_VERSION))
