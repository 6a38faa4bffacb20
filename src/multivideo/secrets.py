"""What must not be seen: keys and tokens, held so that no accident shows them, and prompts, found in foreign text."""

from __future__ import annotations

import hmac
import re
from typing import Never, Self

__all__ = ["Secret", "repeats"]


class Secret:
    """A string that only `reveal()` gives away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a secret is text, not {type(value).__name__}")
        self._value = value.strip()

    def reveal(self) -> str:
        """The secret itself; called where a request is signed, and nowhere else."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes(), other._bytes())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __repr__(self) -> str:
        return "Secret('***')"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def _bytes(self) -> bytes:
        return self._value.encode("utf-8", "surrogatepass")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> Never:
        raise TypeError("a Secret is never pickled or copied into another process")

    def __getstate__(self) -> Never:
        raise TypeError("a Secret is never pickled or copied into another process")


_NO_ACCIDENT = 20  # so many characters of a prompt do not stand in another text by chance


def repeats(text: str, prompt: str) -> bool:
    """Whether a text holds the prompt, or a stretch of it from anywhere; blanks and capitals do not matter."""
    line, prompt = (" ".join(words.lower().split()) for words in (text, prompt))
    if len(prompt) < _NO_ACCIDENT:
        return bool(prompt) and re.search(rf"(?<!\w){re.escape(prompt)}(?!\w)", line) is not None
    return any(line[at : at + _NO_ACCIDENT] in prompt for at in range(len(line) - _NO_ACCIDENT + 1))
