"""How a ledger reaches PostgreSQL: its URL, and what each of its connections must be like."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from orchestrator.core.errors import LedgerUnavailable

DEFAULT_SCHEMA = "orchestrator"

LOCK_TIMEOUT_S = 10
"""How long another process may write before the ledger counts as unavailable."""
IDLE_TIMEOUT_S = 5
"""How long a writer may do nothing inside a transaction. One that was frozen there is cut off, so
that it holds up the others for less than they are willing to wait."""

_DEFAULTS = MappingProxyType(
    {
        "application_name": "orchestrator",
        "client_encoding": "UTF8",
        "connect_timeout": "5",
        # A server that vanished without a word must not be waited for: after a quarter of a minute
        # the connection counts as lost.
        "keepalives_idle": "5",
        "keepalives_interval": "3",
        "keepalives_count": "3",
        "tcp_user_timeout": "15000",
        # Of several hosts, the one that takes writes.
        "target_session_attrs": "read-write",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger lies: a database, and a schema inside it.

    Attributes:
        conninfo: libpq's connection string. It may contain a password: never show it.
        schema: The schema, so that a ledger can share a database with other things.
    """

    conninfo: str
    schema: str

    @property
    def lock(self) -> int:
        """The number of the advisory lock that whoever writes to this ledger holds."""
        digest = blake2b(self._name.encode(), digest_size=8).digest()
        return int.from_bytes(digest, signed=True)

    @property
    def channel(self) -> str:
        """The channel on which writers tell each other that they changed something."""
        return f"orchestrator_{blake2b(self._name.encode(), digest_size=8).hexdigest()}"

    @property
    def directory(self) -> str:
        """A name for the directory of what belongs to this ledger: the same for all its users."""
        given = conninfo_to_dict(self.conninfo)
        parts = [given.get(part) for part in ("host", "hostaddr", "port", "dbname")]
        digest = blake2b(repr([*parts, self.schema]).encode(), digest_size=8)
        return f"postgresql-{digest.hexdigest()}"

    @property
    def search_path(self) -> str:
        """The schema, quoted."""
        escaped = self.schema.replace('"', '""')
        return f'"{escaped}"'

    @property
    def _name(self) -> str:
        return f"orchestrator/ledger/{self.schema}"


def place_from_url(url: str) -> Place:
    """Read ``postgresql://user@host/database?schema=name``; all that libpq knows may follow too.

    Raises:
        LedgerUnavailable: If libpq does not understand it.
    """
    base, _, options = url.partition("?")
    query = dict(parse_qsl(options, keep_blank_values=True))
    schema = query.pop("schema", DEFAULT_SCHEMA)
    plain = f"{base}?{urlencode(query, quote_via=quote)}"
    try:
        given = conninfo_to_dict(plain)
    except psycopg.ProgrammingError as error:
        message = f"the store is no URL that PostgreSQL understands: {error}"
        raise LedgerUnavailable(message) from None  # the cause's text is in the message already
    if not schema:
        message = "the store's URL has an empty schema; name one, or leave ?schema= out"
        raise LedgerUnavailable(message)
    missing = {name: value for name, value in _DEFAULTS.items() if name not in given}
    return Place(make_conninfo(plain, **missing), schema)


def connect(place: Place) -> psycopg.Connection:
    """Connect, outside of any transaction.

    Raises:
        psycopg.OperationalError: If the server cannot be reached.
    """
    connection = psycopg.connect(place.conninfo, autocommit=True)
    try:
        connection.execute(
            # Paid calls must survive a power cut, whatever the database's default is.
            "SELECT set_config('synchronous_commit', replace(current_setting('synchronous_commit'),"
            " 'off', 'on'), false), set_config('search_path', %s, false),"
            " set_config('lock_timeout', %s, false),"
            " set_config('idle_in_transaction_session_timeout', %s, false),"
            # Each statement sees what was committed before it began: before the lock was taken,
            # that would be too little.
            " set_config('default_transaction_isolation', 'read committed', false),"
            # A plan that may not scan counts as dear where it must, which would have it compiled.
            " set_config('jit', 'off', false)",
            (place.search_path, f"{LOCK_TIMEOUT_S}s", f"{IDLE_TIMEOUT_S}s"),
        )
    except BaseException:
        connection.close()
        raise
    return connection


def is_lost(connection: psycopg.Connection, error: psycopg.Error) -> bool:
    """Whether an error means that the connection is of no use any more.

    The server is gone, has thrown this connection out, or has become one that only reads.
    """
    if connection.closed:
        return True
    severity = error.diag.severity_nonlocalized
    return severity in ("FATAL", "PANIC") or isinstance(
        error, psycopg.errors.ReadOnlySqlTransaction
    )
