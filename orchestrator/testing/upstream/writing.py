"""Writing a recording: one JSON line for each answer, with secrets removed."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import orjson

from orchestrator.core.redaction import mask
from orchestrator.testing.upstream.recording import RecordedReply

_PRIVATE = 0o600


class RecordingWriter:
    """Appends answers to a file that :meth:`Recording.read` reads.

    What looks like a secret is masked in every text, names and arguments of tools included; headers
    are never written. What is secret without looking so (a customer's address in a prompt) stays:
    read a recording before you commit it. The file is made so that only its owner can read it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Append to ``path``, a ``.jsonl`` file, made when the first answer comes.

        Raises:
            ValueError: If the name has another ending.
        """
        self.path = Path(path)
        if self.path.suffix != ".jsonl":
            message = f"{path}: a recording is written as .jsonl; name it so"
            raise ValueError(message)
        self._lock = threading.Lock()

    def write(self, reply: RecordedReply) -> None:
        """Append one answer.

        Raises:
            OSError: If it cannot be written.
        """
        row = {
            "model": reply.model,
            "prompt": reply.prompt,
            "response": reply.response,
            "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens,
            "cached_input_tokens": reply.cached_input_tokens or None,
            "reasoning_tokens": reply.reasoning_tokens or None,
            "latency_s": round(reply.latency_s, 3),
            "finish_reason": reply.finish_reason,
            "tool_calls": reply.tool_calls or None,
            "logprobs": reply.logprobs,
        }
        line = orjson.dumps(
            _masked({key: value for key, value in row.items() if value is not None})
        )
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
            with os.fdopen(file, "ab") as stream:
                stream.write(line + b"\n")


def _masked(value: Any) -> Any:  # noqa: ANN401 - JSON
    match value:
        case str():
            return mask(value)
        case dict():
            return {mask(key): _masked(one) for key, one in value.items()}
        case list() | tuple():
            return [_masked(one) for one in value]
        case _:
            return value
