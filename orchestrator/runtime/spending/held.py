"""Money that a call of user code holds, and how it gives way to what that code asks for.

Only what is on its way holds money, so whoever waits for money never waits long. A tool holds its
price while it runs, and what runs in it may itself ask a model. That ask must not wait for money
which only comes free when the tool returns, so the tool is paid before its insides are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Held:
    """Money held around this code.

    Attributes:
        settle: Books it, on the engine's loop; harmless where it is booked already.
        around: What is held around that.
    """

    settle: Callable[[], Awaitable[None]]
    around: Held | None


HELD: ContextVar[Held | None] = ContextVar("orchestrator_held", default=None)


async def give_way() -> None:
    """Book what is held around the code that now asks for money of its own."""
    held = HELD.get()
    while held is not None:
        await held.settle()
        held = held.around
