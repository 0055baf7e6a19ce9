from collections.abc import AsyncIterator

import httpx
import pytest

from orchestrator.testing.upstream.recording import RecordedReply
from orchestrator.testing.upstream.server import Upstream

PRICES = {"small-1": {"input": "0.10", "output": "0.40", "cached_input": "0.01"}}
REPLY = RecordedReply(
    model="small-1",
    prompt="Capital of France?",
    response="The capital of France is Paris, as it was in the year before this one.",
    query_id="france",
    input_tokens=40,
    output_tokens=20,
    cached_input_tokens=10,
)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream([REPLY], prices=PRICES) as serving:
        yield serving


@pytest.fixture
async def http(upstream) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=upstream.url, trust_env=False) as client:
        yield client
