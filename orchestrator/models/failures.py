"""Foreign errors become ours here: by type and by real HTTP status, never by words in their text.

LiteLLM answers a refused connection, a failed name look-up, a cut body and a real 500 with the same
class and ``status_code`` 500. The truth lies in the chain of causes underneath.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
import httpx
import openai
import orjson

from orchestrator.core.redaction import mask, without_quotes
from orchestrator.models.protocol import FailureKind, ModelCallError, ModelRequest
from orchestrator.models.scripted import question
from orchestrator.models.wire import Wire

# So much of an error is read, up to a space, and shown: cut after secrets are masked, so that no
# half of one escapes.
_READ = 2000
_SHOWN = 300

# Raised before a connection is there. aiohttp's own are listed too, because LiteLLM's transport
# also maps a connection that was *reset after the request was sent* to ``httpx.ConnectError``.
_BEFORE_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_BEFORE_CONNECTED_HTTPX = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_BAD_ADDRESS = (aiohttp.InvalidURL, httpx.InvalidURL, httpx.UnsupportedProtocol)

# What LiteLLM raises (its errors derive from these) when it refuses a request without sending it.
_REFUSED = (
    openai.AuthenticationError,
    openai.BadRequestError,
    openai.NotFoundError,
    openai.PermissionDeniedError,
    openai.UnprocessableEntityError,
    ImportError,  # a provider's own package is not installed
)


def explain(
    error: BaseException, *, wire: Wire, request: ModelRequest, outside: BaseException | None
) -> ModelCallError:
    """Say how an attempt ended, without the key and without what was said.

    Args:
        error: What was caught.
        wire: What the attempt put on the wire.
        request: What was asked, and of whom.
        outside: The error that was being handled when the attempt began. It is part of the chain
            and says nothing about this attempt.
    """
    model, hush = request.settings.model, _hush(request)
    chain = list(_chain(error, outside))
    response = next((found for link in chain if (found := _response(link)) is not None), None)
    if response is not None:
        return _by_status(response, model, hush)
    if any(isinstance(link, _BAD_ADDRESS) for link in chain):
        told = hush(str(error))
        return ModelCallError("rejected", f"{model}: api_base is no usable address: {told}")
    told = hush(_innermost(chain))
    if _not_connected(chain):
        return ModelCallError("not_connected", f"{model}: no connection: {told}")
    if not wire.posted and any(
        isinstance(link, _REFUSED) or type(link) is openai.OpenAIError for link in chain
    ):
        return ModelCallError("rejected", f"{model}: nothing was sent: {told}")
    if any(isinstance(link, (httpx.TransportError, aiohttp.ClientError)) for link in chain):
        return ModelCallError("broken", f"{model}: the connection broke: {told}")
    what, status = "the answer is unreadable", wire.status
    if wire.streaming and (told_status := _told_in_stream(chain[-1])) is not None:
        what = "the stream told an error"
        # Its 200 stands, so it may be billed. Sent again it may get through, unless it is refused.
        status = status if told_status == HTTPStatus.BAD_REQUEST else None
    return ModelCallError("broken", f"{model}: {what}: {told}", status=status)


def _hush(request: ModelRequest) -> Callable[[str], str]:
    """Masks the request's own key, and what the request said, in what others say of it."""
    key = os.environ.get(request.settings.api_key_env or "", "")

    def hush(text: str) -> str:
        if len(text) > _READ:
            text = text[:_READ].rpartition(" ")[0]  # no half of a secret, which nothing would mask
        parts = (request.tools, request.schema, request.parameters)
        said = "\n".join((question(request.messages), *map(repr, parts)))
        return without_quotes(mask(" ".join(text.split()), secrets=[key]), said)[:_SHOWN]

    return hush


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read ``Retry-After`` (seconds or an HTTP date) in seconds from ``now``, never below zero.

    ``retry-after-ms``, which OpenAI and Azure send as well, is finer and wins. ``None`` if there is
    no such header or it cannot be read.
    """
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is None or (seconds := _number(value)) is not None:
        return None if value is None else seconds
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # "-0000" in the header: UTC, place unknown
    return max(0.0, (moment - now).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = math.nan if text is None else float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _chain(error: BaseException, outside: BaseException | None) -> Iterator[BaseException]:
    """Every error that led to ``error``, outermost first, each once."""
    seen: set[int] = set() if outside is None else {id(outside)}
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop(0)
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__cause__, link.__context__]


def _response(link: BaseException) -> httpx.Response | None:
    """The provider's answer in ``link``; LiteLLM's own errors carry answers it made up."""
    if isinstance(link, httpx.HTTPStatusError):
        return link.response
    invented = type(link).__module__.partition(".")[0] == "litellm"
    return link.response if isinstance(link, openai.APIStatusError) and not invented else None


def _by_status(response: httpx.Response, model: str, hush: Callable[[str], str]) -> ModelCallError:
    status = response.status_code
    said = f"{model}: HTTP {status}: {hush(_text(response)) or '(no body)'}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = retry_after_s(response.headers, datetime.now(UTC))
        return ModelCallError("rate_limited", said, status=status, retry_after_s=wait)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return ModelCallError("rejected", said, status=status)
    wait = retry_after_s(response.headers, datetime.now(UTC))
    kind: FailureKind = "server_error" if _is_providers_own(response) else "broken"
    return ModelCallError(kind, said, status=status, retry_after_s=wait)


def _is_providers_own(response: httpx.Response) -> bool:
    """Whether the body is a provider's error in JSON, not a gateway's page."""
    try:
        body = orjson.loads(response.content)
    except (orjson.JSONDecodeError, httpx.ResponseNotRead):
        return False
    if isinstance(body, list) and body:
        body = body[0]  # Google sends its error object in a list
    if "x-amzn-errortype" in response.headers:  # AWS names the error there, not in the body
        return isinstance(body, dict)
    return isinstance(body, dict) and (
        bool(body.get("error")) or "error" in (body.get("object"), body.get("type"))
    )


def _text(response: httpx.Response) -> str:
    try:
        return response.text
    except httpx.ResponseNotRead:
        return ""


def _told_in_stream(link: BaseException) -> int | None:
    """The status of an error that came in the place of the rest of a stream, where it has one.

    LiteLLM's errors that nothing else led to tell of such, and OpenAI's error without a response.
    """
    if type(link) is openai.APIError:
        return HTTPStatus.INTERNAL_SERVER_ERROR
    told = type(link).__module__.partition(".")[0] == "litellm"
    status = getattr(link, "status_code", None)
    return status if told and isinstance(status, int) else None


def _not_connected(chain: list[BaseException]) -> bool:
    if any(isinstance(link, _BEFORE_CONNECTED) for link in chain):
        return True
    return any(isinstance(link, _BEFORE_CONNECTED_HTTPX) for link in chain) and not any(
        isinstance(link, aiohttp.ClientError) for link in chain
    )


def _innermost(chain: list[BaseException]) -> str:
    link = chain[-1]
    return f"{type(link).__name__}: {link}"
