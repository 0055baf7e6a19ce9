"""An error in a sentence, without the secrets that its task knows."""

from __future__ import annotations

import os
from typing import overload

from orchestrator.core.redaction import mask
from orchestrator.policy.records import AgentPolicy


@overload
def sentence(error: None, policy: AgentPolicy) -> None: ...
@overload
def sentence(error: BaseException, policy: AgentPolicy) -> str: ...
@overload
def sentence(error: BaseException | None, policy: AgentPolicy) -> str | None: ...
def sentence(error: BaseException | None, policy: AgentPolicy) -> str | None:
    """What kind of error and what it says, with secrets masked, the keys of the models too."""
    if error is None:
        return None
    names = (model.api_key_env for model in policy.models.values())
    keys = [os.environ.get(name, "") for name in names if name is not None]
    return mask(f"{type(error).__name__}: {error}".rstrip(": "), secrets=keys)
