"""A test reaches this machine only, and none of what its user has set up."""

import asyncio
import os
import socket

import pytest


async def test_no_test_can_reach_another_machine():
    with pytest.raises(OSError, match="no network"):
        socket.create_connection(("provider.example", 443))
    with pytest.raises(OSError, match="no network"):
        await asyncio.open_connection("192.0.2.1", 443)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_test_can_reach_a_server_of_its_own(host: str):
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"reached")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(host, server.sockets[0].getsockname()[1])
        heard = await reader.read()
        writer.close()

    assert heard == b"reached"


def test_no_key_of_the_user_is_there():
    assert [name for name in os.environ if name.endswith("_API_KEY")] == []
