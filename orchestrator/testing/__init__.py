"""What a user needs to test an agent without a provider.

:class:`ScriptedModel` answers in the process, :class:`FakeClock` stands still until it is moved;
``Upstream`` in :mod:`orchestrator.testing.upstream.server` replays recorded answers over HTTP and
misbehaves on demand.
"""

from orchestrator.models.scripted import ScriptedModel as ScriptedModel
from orchestrator.models.scripted import ScriptedReply as ScriptedReply
from orchestrator.testing.fake_clock import FakeClock as FakeClock

__all__ = ["FakeClock", "ScriptedModel", "ScriptedReply"]
