"""What can be switched while the emulator runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from attrs import define, field
from attrs.validators import in_

from multivideo.sandbox.openai_order import ReferenceMode

__all__ = ["Switches"]


@define
class Switches:
    """Args: input_reference: in which form OpenAI's door takes it; both were the only one at some time."""

    input_reference: ReferenceMode = field(default="both", validator=in_(get_args(ReferenceMode)))

    def set(self, words: Mapping[str, object]) -> None:
        """Turn the switches that are named; ValueError for one that is not there, or has no such position."""
        for name, word in words.items():
            if name not in self.__slots__ or name.startswith("_"):
                raise ValueError(f"no switch {name!r}; there is input_reference")
            setattr(self, name, word)
