"""Every test runs as if the machine had no network and its user no keys."""

import errno
import ipaddress
import os
import sys

import pytest

for name in tuple(os.environ):
    if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")) or name == "ORCHESTRATOR_STORE":
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


def pytest_configure(config: pytest.Config) -> None:
    # LiteLLM's own code, against a newer pydantic; as errors they would break its streams.
    for message in (
        "Accessing the 'model_(computed_)?fields' attribute on the instance",
        "Item 'summary' on TypedDict class 'ChatCompletionReasoningItem'",
    ):
        config.addinivalue_line("filterwarnings", f"ignore:{message}")
