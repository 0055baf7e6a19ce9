"""Middleware that governs an agent of ``create_agent`` without touching its model or its tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import ToolMessage
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command

from orchestrator.integrations.chat_model import RoutedChatModel
from orchestrator.integrations.tools import governed_tool

ToolAnswer = ToolMessage | Command[Any]


class GovernedMiddleware(AgentMiddleware[Any, Any, Any]):
    """Sends the model calls of an agent to a step of the policy, and its tool calls to its tools.

    The agent's own model is never asked: the policy says which model answers. Put it last in the
    list of middleware, next to the model, so that what others change is what is asked.
    """

    def __init__(
        self,
        step: str,
        *,
        finish: bool = False,
        agent: str | None = None,
        server: str | None = None,
    ) -> None:
        """Govern an agent.

        Args:
            step: The step's name in the policy.
            finish: Whether it may draw on the task budget's ``finish_reserve``.
            agent: Whose task a call outside of every task is; the step's name unless given.
            server: The MCP server whose tools the agent's are, if they all are.
        """
        super().__init__()
        self.model = RoutedChatModel(step=step, finish=finish, agent=agent)
        self.server = server

    def wrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], ModelResponse[Any]],
    ) -> ModelResponse[Any]:
        """Ask the step in place of the agent's model."""
        return handler(request.override(model=self.model))

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """Ask the step in place of the agent's model."""
        return await handler(request.override(model=self.model))

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolAnswer]
    ) -> ToolAnswer:
        """Call a tool under its rules."""
        return handler(self._governed(request))

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolAnswer]]
    ) -> ToolAnswer:
        """Call a tool under its rules."""
        return await handler(self._governed(request))

    def _governed(self, request: ToolCallRequest) -> ToolCallRequest:
        if request.tool is None:  # the model made one up; the agent tells it so
            return request
        return request.override(tool=governed_tool(request.tool, server=self.server))
