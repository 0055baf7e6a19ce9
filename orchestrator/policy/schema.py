"""The JSON Schema of a policy file, for editors: ``python -m orchestrator.policy.schema FILE``.

It holds what is built and nothing else. An editor shows mistakes while a policy is written; what
loads is decided by :func:`orchestrator.policy.load.load_policy` alone.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from orchestrator.policy.documents.base import Document
from orchestrator.policy.documents.policy import PolicyDocument
from orchestrator.policy.keys import Key, keys_of

DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest that every YAML editor knows


def policy_schema(document: type[Document] = PolicyDocument) -> dict[str, Any]:
    """The schema of a policy file, or of one document in it, as data."""
    head = {"$schema": DIALECT, "title": "Policy"} if document is PolicyDocument else {}
    return {
        **head,
        "type": "object",
        "additionalProperties": False,
        "properties": {key.name: _property(key) for key in keys_of(document) if key.is_built},
    }


def policy_schema_text() -> str:
    """The schema as it lies in ``policies/schema.json``."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


def _property(key: Key) -> dict[str, Any]:
    below = policy_schema(key.holds) if isinstance(key.holds, type) else dict(key.holds.schema)
    if isinstance(key.holds, type) and key.holds.text_is_main:
        below = {"anyOf": [below, below["properties"][key.holds.main]]}
    if isinstance(key.holds, type) and key.holds.may_be_off:
        below = {"anyOf": [below, {"enum": ["off", False]}]}
    if key.many == "list":
        below = {"type": "array", "items": below, "minItems": 1, "uniqueItems": True}
    elif key.many == "named":
        below = {"type": "object", "additionalProperties": below}
    default = f" Default: `{key.default}`." if key.default else ""
    example = f" Example: `{key.example}`." if key.example else ""
    return {**below, "description": f"{key.meaning}{default}{example}"}


def main() -> None:
    """Write the schema to the file named on the command line."""
    Path(sys.argv[1]).write_text(policy_schema_text(), encoding="utf-8")


if __name__ == "__main__":
    main()
