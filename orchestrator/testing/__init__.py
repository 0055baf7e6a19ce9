"""What a user needs to test an agent without a provider.

:class:`ScriptedModel` answers in the process, :class:`FakeClock` stands still until it is moved,
:func:`assert_cost_below` and :func:`assert_calls` say what a task may cost. The pytest plug-in
:mod:`orchestrator.testing.pytest_plugin` has fixtures for all of it, and records models once;
``Upstream`` in :mod:`orchestrator.testing.upstream.server` replays recorded answers over HTTP and
misbehaves on demand.
"""

from orchestrator.models.scripted import ScriptedModel as ScriptedModel
from orchestrator.models.scripted import ScriptedReply as ScriptedReply
from orchestrator.testing.assertions import assert_calls as assert_calls
from orchestrator.testing.assertions import assert_cost_below as assert_cost_below
from orchestrator.testing.fake_clock import FakeClock as FakeClock

__all__ = ["FakeClock", "ScriptedModel", "ScriptedReply", "assert_calls", "assert_cost_below"]
