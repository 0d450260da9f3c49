"""The objects of OCPI's JSON, read generously and written strictly.

One set of models serves both ways. With a `Notes` as validation context a model reads what a partner sent: what is
not quite right but clear is taken, and noted by name. Without one it is ours, and every rule holds to the letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

T = TypeVar("T")
NOT_ASSIGNED = "#NA"


class UnreadableError(ValueError):
    """A body that breaks a rule; `field` is the path of what is wrong ("period.end_date_time"), empty for the whole."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(f"{field}: {message}" if field else message)


_reads_strictly: ContextVar[bool] = ContextVar("reads_strictly", default=False)


@dataclass
class Notes:
    """The names of what a message did otherwise than the specification says, each once, in order of appearance.

    Where it is read strictly nothing is forgiven: what would be noted raises UnreadableError.
    """

    names: dict[str, None] = field(default_factory=dict)
    is_strict: bool = field(default_factory=_reads_strictly.get)

    def add(self, name: str) -> None:
        if self.is_strict:
            raise UnreadableError(
                "", f"{name}: is not as the specification has it, and nothing is forgiven you"
            )
        self.names[name] = None


@contextmanager
def reading(*, strictly: bool) -> Iterator[None]:
    """What is read within is read to the letter, or generously."""
    token = _reads_strictly.set(strictly)
    try:
        yield
    finally:
        _reads_strictly.reset(token)


@dataclass(frozen=True)
class Read(Generic[T]):
    """What was read, and the names of the deviations that were forgiven (they count in `Partner.deviations`)."""

    value: T
    deviations: tuple[str, ...] = ()


class WireObject(BaseModel):
    """An object of the protocol. Sent without null and without empty lists, but for those in `keep_empty`."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    keep_empty: ClassVar[frozenset[str]] = frozenset()
    # Somebody asks for something: every part counts, and what cannot be read is refused (lenient.py).
    is_ask: ClassVar[bool] = False

    @model_serializer(mode="wrap")
    def _without_blanks(self, inner: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in inner(self).items() if v is not None and (v != [] or k in self.keep_empty)}

    def wire(self) -> dict[str, Any]:
        """As it goes into a JSON body."""
        return self.model_dump(mode="json")


class SentWhole(WireObject):
    """An object that we send with everything in `always_sent`, and read from partners without: what is missing is noted."""

    always_sent: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _is_whole(self, info: ValidationInfo) -> Self:
        missing = sorted(
            n for n in self.always_sent if n not in self.model_fields_set or getattr(self, n) is None
        )
        notes = notes_of(info)
        if notes is None and missing:
            raise ValueError(f"{missing[0]} is required")
        if notes is not None:
            name = type(self).__name__.lower()
            for part in missing:
                if f"{name}.{part}.unreadable" not in notes.names:
                    notes.add(f"{name}.{part}_missing")
        return self


def notes_of(info: ValidationInfo) -> Notes | None:
    return info.context if isinstance(info.context, Notes) else None


def folded(*parts: str) -> tuple[str, ...]:
    """Identifiers as they compare: without regard to case."""
    return tuple(part.upper() for part in parts)
