"""Wide tables as RouterBench has them: a line per question, and columns for each model.

| column | meaning |
|---|---|
| ``NAME`` | the score of the model of that name, 0 to 1 |
| ``NAME|total_cost`` | what its reply cost, in USD |
| ``NAME|model_response`` | its reply |
| ``sample_id``, ``eval_name``, ``prompt`` | of the question: its name, its kind, what is asked |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

COST = "|total_cost"
REPLY = "|model_response"
CSV_FIELD = 2**31 - 1
"""The longest field read, in bytes; the default of the csv module is too short for replies."""


def models_of(columns: Sequence[str]) -> list[str]:
    """The models of a table with these columns; none: it is no wide one."""
    return [name.removesuffix(COST) for name in columns if name.endswith(COST)]


def sample_fields(row: Mapping[str, str], models: Sequence[str]) -> dict[str, str] | None:
    """The fields of a suite's sample for a line of a wide table.

    Where the line names no right answer, a reply with the full score is one.

    Args:
        row: The line.
        models: The table's.

    Returns:
        The fields; ``None``: nothing tells the right answer, for no model found it.
    """
    fields = {"id": row.get("sample_id", ""), "group": row.get("eval_name", ""), **row}
    if row.get("answer") or row.get("gold"):
        return fields
    replies = (row.get(name + REPLY) or "" for name in models if _is_full(row.get(name)))
    answer = next((reply for reply in replies if reply.strip()), None)
    return None if answer is None else fields | {"answer": answer}


def _is_full(score: str | None) -> bool:
    try:
        return float(score or "nan") == 1
    except ValueError:
        return False
