"""An MCP server by the official package: over standard input and output, or HTTP on a port.

Its first argument is a file to which each call is appended; the second, if any, the port.
"""

import asyncio
import sys
from pathlib import Path

from mcp.server.fastmcp import FastMCP

log, *ports = sys.argv[1:]
server = FastMCP("sky", port=int(ports[0]) if ports else 0, log_level="ERROR")


def note(call: str) -> None:
    with Path(log).open("a", encoding="utf-8") as file:
        file.write(f"{call}\n")


@server.tool()
def weather(city: str) -> str:
    """The weather in a city."""
    note(f"weather {city}")
    return f"sunny in {city}"


@server.tool()
def stars(city: str) -> dict[str, int]:
    """How many stars are seen in a city."""
    note(f"stars {city}")
    return {"stars": len(city)}


@server.tool()
def storm(city: str) -> str:
    """Never comes."""
    note(f"storm {city}")
    message = f"no storm in {city}"
    raise ValueError(message)


@server.tool()
async def moon(city: str) -> str:
    """Comes late."""
    note(f"moon {city}")
    await asyncio.sleep(30)
    return "full"


server.run("streamable-http" if ports else "stdio")
