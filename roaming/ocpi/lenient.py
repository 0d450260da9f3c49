"""Reading a partner's object although a part of it is broken (docs/decisions/0040).

A part that its owner can do without (an optional field, an item of a list) is left out and noted, never the whole
object. Only what is required all the way up makes an object unreadable. Nothing is put in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from roaming.ocpi.wire_object import Notes, UnreadableError, WireObject

W = TypeVar("W", bound=WireObject)
Path = tuple[int | str, ...]
# What is left out can let a rule of the object around it speak; objects are nested no deeper than this.
MOST_PASSES = 6
_CUT = object()


def read(model: type[W], raw: Any, notes: Notes) -> W:
    """What a partner sent, as a model, without its broken parts.

    Raises UnreadableError naming the first field that is wrong and needed; of an ask, and where it is read strictly, every
    field is.
    """
    for _ in range(MOST_PASSES):
        try:
            return model.model_validate(raw, context=notes)
        except ValidationError as error:
            failure = error
        if model.is_ask or notes.is_strict:
            break
        raw = _without_broken_parts(model, raw, failure, notes)
    raise unreadable(failure)


def unreadable(error: ValidationError) -> UnreadableError:
    """pydantic's first complaint as ours: the path of the field, and a sentence without the value."""
    return _complaint(error.errors(include_url=False, include_input=False)[0])


def _complaint(fault: Any) -> UnreadableError:
    path = ".".join(str(part) for part in fault["loc"])
    sentence = "is required" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
    return UnreadableError(path, sentence)


def _without_broken_parts(model: type[WireObject], raw: Any, error: ValidationError, notes: Notes) -> Any:
    found: dict[Path, str] = {}
    for fault in error.errors(include_url=False, include_input=False):
        part = _dispensable_part(model, fault["loc"])
        if part is None:
            raise _complaint(fault) from None
        path, name = part
        found[path] = name
    for name in found.values():
        notes.add(name)
    return _pruned(raw, _tree(found))


def _dispensable_part(model: type[WireObject], loc: Path) -> tuple[Path, str] | None:
    """The innermost part around a fault that can be left out, and the name of that deviation."""
    part: tuple[Path, str] | None = None
    owner: type[WireObject] | None = model
    at = 0
    while owner is not None and at < len(loc):
        field = owner.model_fields.get(str(loc[at]))
        if field is None:
            break
        inner = _model_in(field.annotation)
        name = f"{owner.__name__.lower()}.{loc[at]}.unreadable"
        if not field.is_required():
            part = loc[: at + 1], name
        at += 1
        if at < len(loc) and isinstance(loc[at], int):
            part = loc[: at + 1], f"{inner.__name__.lower()}.unreadable" if inner else name
            at += 1
        owner = inner
    return part


def _model_in(annotation: Any) -> type[WireObject] | None:
    """The model inside `list[M]`, `M | None`, or itself."""
    if isinstance(annotation, type) and issubclass(annotation, WireObject):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_in(one))), None)


def _tree(paths: Iterable[Path]) -> dict[int | str, Any]:
    tree: dict[int | str, Any] = {}
    for path in paths:
        branch = tree
        for step in path[:-1]:
            branch = branch.setdefault(step, {})
            if branch is _CUT:
                break
        else:
            branch[path[-1]] = _CUT
    return tree


def _pruned(value: Any, tree: dict[int | str, Any]) -> Any:
    if not tree:
        return value
    if isinstance(value, dict):
        return {k: _pruned(v, tree.get(k, {})) for k, v in value.items() if tree.get(k) is not _CUT}
    if isinstance(value, list):
        return [_pruned(v, tree.get(i, {})) for i, v in enumerate(value) if tree.get(i) is not _CUT]
    return value
