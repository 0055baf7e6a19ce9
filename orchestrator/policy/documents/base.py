"""What every mapping of a policy file has in common."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator


def key(
    meaning: str,
    *,
    default: Any = None,  # noqa: ANN401 - as in pydantic's Field
    shown: str | None = None,
    example: str = "",
) -> Any:  # noqa: ANN401 - as pydantic's Field: it stands for a value of the annotated type
    """A key of a document.

    Args:
        meaning: What it does, for the reference and for editors.
        default: The value where no layer has the key.
        shown: How that default is written in a policy; ``None`` if it is none.
        example: A value, if the one of its form is not telling.
    """
    extra: dict[str, JsonValue] = {}
    if shown is not None:
        extra["default"] = shown
    if example:
        extra["example"] = example
    return Field(default=default, description=meaning, json_schema_extra=extra)


class Document(BaseModel):
    """A mapping in a policy file: unknown keys are mistakes.

    Attributes:
        hints: What to say about a key that is often tried here, in place of ``unknown key``.
        main: The key that is meant when text stands in place of the mapping.
        text_is_main: Whether text in place of the mapping is read as the value of ``main``.
        may_be_off: Whether ``off`` may stand in place of the mapping.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    hints: ClassVar[dict[str, str]] = {}
    main: ClassVar[str] = ""
    text_is_main: ClassVar[bool] = False
    may_be_off: ClassVar[bool] = False

    @model_validator(mode="before")
    @classmethod
    def _read_text(cls, value: object) -> object:
        return {cls.main: value} if cls.text_is_main and isinstance(value, str) else value
