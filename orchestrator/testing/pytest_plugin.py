"""A pytest plug-in: what an agent costs is tested like what it does, offline.

Switch it on in ``conftest.py``::

    pytest_plugins = ["orchestrator.testing.pytest_plugin"]

Fixtures: :func:`governed`, :func:`recording`, :func:`fake_clock`. ``pytest --record-models`` asks
the real models of the policy, which costs money, and writes their answers for :func:`recording`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from orchestrator.testing.fake_clock import FakeClock

if TYPE_CHECKING:
    from orchestrator.core.clock import Clock
    from orchestrator.models.protocol import ModelClient
    from orchestrator.runtime.orchestrator import Orchestrator

RECORD = "--record-models"

Recorded = Callable[[str | os.PathLike[str]], "ModelClient"]


class Governed(Protocol):
    """Makes an orchestrator with a ledger of the test's own."""

    def __call__(
        self,
        policy: str | os.PathLike[str],
        client: ModelClient | None = None,
        *,
        clock: Clock | None = None,
    ) -> Orchestrator:
        """Run under ``policy``, asking ``client``; see :func:`governed`."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--record-models``."""
    group = parser.getgroup("orchestrator")
    group.addoption(
        RECORD,
        action="store_true",
        help="ask the real models, which costs money, and record what they answer",
    )


@pytest.fixture
def fake_clock() -> FakeClock:
    """Time that passes only when the test says so: :class:`~orchestrator.testing.FakeClock`."""
    return FakeClock()


@pytest.fixture
def recording(request: pytest.FixtureRequest) -> Recorded:
    """Models that answer from a recording, or are recorded.

    Call it with the path of a ``.jsonl`` file, relative to the test's own. Without
    ``--record-models`` it gives the answers recorded there; with it, the policy's real models are
    asked and the file is written anew.
    """
    folder, is_recording = request.path.parent, bool(request.config.getoption(RECORD))

    def models(path: str | os.PathLike[str]) -> ModelClient:
        file = folder / Path(path)
        if is_recording:
            from orchestrator.models.litellm_client import (  # noqa: PLC0415 - slow to load
                LiteLLMClient,
            )
            from orchestrator.testing.recorded_model import (  # noqa: PLC0415 - as above
                RecordingModel,
            )

            recording = RecordingModel(LiteLLMClient(), file)
            file.unlink(missing_ok=True)
            return recording
        from orchestrator.testing.recorded_model import RecordedModel  # noqa: PLC0415 - as above

        return RecordedModel(file)

    return models


@pytest.fixture
def governed(tmp_path: Path, request: pytest.FixtureRequest) -> Governed:
    """An orchestrator whose ledger, checkpoints and memo last as long as the test.

    Call it with a policy's path, relative to the test's own file, and a client: that of
    :func:`recording`, a ``ScriptedModel``; without one the real models are asked. Enter what it
    gives with ``async with`` or ``with``. Two of one test share the ledger, as two processes do.
    """
    folder, store = request.path.parent, f"sqlite:///{tmp_path / 'ledger.db'}"

    def make(
        policy: str | os.PathLike[str],
        client: ModelClient | None = None,
        *,
        clock: Clock | None = None,
    ) -> Orchestrator:
        from orchestrator.runtime.orchestrator import Orchestrator  # noqa: PLC0415 - as above

        path = folder / Path(policy)
        return Orchestrator.from_policy(path, store=store, client=client, clock=clock)

    return make
