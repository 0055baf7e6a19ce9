"""The one interface through which a model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from orchestrator.core.errors import OrchestratorError
from orchestrator.core.usage import Usage
from orchestrator.models.rates import RateReport
from orchestrator.models.settings import ModelSettings

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """What is asked of a model, in OpenAI's chat form.

    Attributes:
        settings: The model and how it is asked.
        messages: The conversation.
        tools: Tool definitions, in OpenAI's form.
        schema: JSON Schema the reply should follow, or ``None``.
        schema_name: A name for the schema; some providers ask for one.
        parameters: Further parameters in OpenAI's names (``tool_choice``, ``stop``,
            ``temperature``), as the caller gave them.
        logprobs: Whether the log-probabilities of the reply's tokens are wanted, if the provider
            tells them.
    """

    settings: ModelSettings
    messages: Sequence[Message]
    tools: Sequence[Mapping[str, Any]] = ()
    schema: Mapping[str, Any] | None = None
    schema_name: str = "reply"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    logprobs: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants called; ``arguments`` is JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A complete answer off the wire.

    Attributes:
        text: The reply's text; empty if it only calls tools.
        tool_calls: Tools the model wants called.
        finish_reason: Why it ended (``stop``, ``length``, ``tool_calls``, ``content_filter``), or
            the provider's own word where the reply is none of these (``malformed_model_output``).
        usage: What the provider itself said; ``None`` if it said nothing readable. Never invented.
        served_model: The model the provider says it served.
        logprobs: The log-probability of each token of the text, if the provider told them.
        rates: What the answer says about the provider's limits.
    """

    text: str
    finish_reason: str
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    served_model: str | None = None
    logprobs: tuple[float, ...] = ()
    rates: RateReport | None = None


FailureKind = Literal["not_connected", "rate_limited", "rejected", "server_error", "broken"]


class ModelCallError(OrchestratorError):
    """One attempt got no usable answer.

    Attributes:
        kind: ``not_connected`` (nothing was sent), ``rate_limited`` (429), ``rejected`` (another
            4xx), ``server_error`` (5xx with the provider's own error body), ``broken`` (cut,
            unreadable, or a gateway's 5xx: it may have been billed).
        status: HTTP status, if there was one.
        retry_after_s: What ``Retry-After`` said, in seconds.
        rates: What the answer says about the provider's limits.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        """Carry how the attempt ended."""
        super().__init__(message)
        self.kind: FailureKind = kind
        self.status = status
        self.retry_after_s = retry_after_s
        self.rates: RateReport | None = None

    @property
    def is_about_request(self) -> bool:
        """Whether the request itself was rejected, not the key, the account or the model's name."""
        return self.kind == "rejected" and self.status not in {None, 401, 403, 404}


class ModelClient(Protocol):
    """Something that can be asked. All methods run on the runtime's own event loop."""

    async def open(self) -> None:
        """Load what is slow to load, before any clock runs."""
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...

    async def ask(
        self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """Send exactly one request and read its answer to the end.

        With ``on_text`` the answer is streamed and each piece of text is handed over as it comes;
        the coroutine still returns the whole. It may be cancelled; it never retries.

        Raises:
            ModelCallError: If there is no complete, readable answer.
        """
        ...
