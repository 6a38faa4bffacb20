"""Reading foreign JSON into typed shapes: strict about what counts, deaf to what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, TypeVar, get_args, get_origin

from attrs import has
from cattrs import Converter, transform_error
from cattrs.cols import list_structure_factory
from cattrs.errors import BaseValidationError
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

__all__ = ["Loose", "Unreadable", "read"]

T = TypeVar("T")


class Unreadable(ValueError):
    """The JSON is not of the shape; the text names every path that is wrong, and no value."""


class _Marker:
    pass


Loose = Annotated[T | None, _Marker]
"""A field that is worth having and not worth failing for: of another type, it reads as None."""


def read(shape: type[T], data: Any) -> T:
    """The value of that shape. Unknown fields are ignored; scalars are never converted.

    Raises: Unreadable.
    """
    try:
        return _CONVERTER.structure(data, shape)
    except BaseValidationError as error:
        raise Unreadable("; ".join(transform_error(error, format_exception=_said))) from None
    except Exception as error:  # noqa: BLE001 - cattrs refuses a word of a Literal with a bare Exception
        raise Unreadable(f"{type(error).__name__} in {getattr(shape, '__name__', shape)}") from None


def _said(error: BaseException, kind: type | None) -> str:
    known = isinstance(error, KeyError | ValueError | TypeError | AttributeError)
    return format_exception(error, kind) if known else "invalid value"


def _strict(kind: type) -> Any:
    def hook(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"wants {kind.__name__}, got {type(value).__name__}")
        return value

    return hook


def _is_loose(kind: Any) -> bool:
    return get_origin(kind) is Annotated and _Marker in get_args(kind)[1:]


def _loose(value: Any, kind: Any) -> Any:
    try:
        return _CONVERTER.structure(value, get_args(kind)[0])
    except Exception:  # noqa: BLE001 - as above
        return None


def _is_list(kind: Any) -> bool:
    return get_origin(kind) is list or (get_origin(kind) is tuple and get_args(kind)[1:] == (...,))


def _list_hook(kind: Any, converter: Any) -> Callable[[Any, Any], Any]:
    """A JSON array alone: a str would be read as its letters, an object as its keys."""
    read_items, make = list_structure_factory(kind, converter), get_origin(kind)

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise TypeError(f"wants a list, got {type(value).__name__}")
        return make(read_items(value, kind))

    return hook


def _object_hook(kind: Any, converter: Any) -> Callable[[Any, Any], Any]:
    """A JSON object alone: of a shape whose fields are all optional, any list or text would do."""
    read_fields = make_dict_structure_fn(kind, converter)

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Mapping):
            raise TypeError(f"wants an object, got {type(value).__name__}")
        return read_fields(value, kind)

    return hook


def _make() -> Converter:
    converter = Converter(detailed_validation=True)
    for kind in (bool, int, float, str, Decimal):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook_func(_is_loose, _loose)
    converter.register_structure_hook_factory(_is_list, _list_hook)
    converter.register_structure_hook_factory(has, _object_hook)
    return converter


_CONVERTER = _make()
