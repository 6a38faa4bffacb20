"""Reading foreign JSON into typed shapes: strict about what counts, deaf to what does not."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeVar, get_args, get_origin

from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError

__all__ = ["Loose", "Unreadable", "read"]

T = TypeVar("T")


class Unreadable(ValueError):
    """The JSON is not of the shape; the text names every path that is wrong."""


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
        raise Unreadable("; ".join(transform_error(error))) from None
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{type(error).__name__} in {shape.__name__}") from None


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
    except (BaseValidationError, TypeError, ValueError, KeyError, AttributeError):
        return None


def _make() -> Converter:
    converter = Converter(detailed_validation=True)
    for kind in (bool, int, float, str, Decimal):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook_func(_is_loose, _loose)
    return converter


_CONVERTER = _make()
