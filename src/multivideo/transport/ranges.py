"""The rest of a file that broke off: how it is asked for, and whether what comes is the rest of just that file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime

from attrs import evolve, field, frozen

__all__ = ["Edition"]

_STRONG = re.compile(r'"[\x21\x23-\x7e]{0,256}"')
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)
_DATE = re.compile(r"[ -~]{1,64}")


@frozen
class Edition:
    """What an answer said of the file that it began to give: its length, and the marks that a changed file changes."""

    total: int | None = None
    etag: str = ""
    modified: str = ""
    mark: str | None = field(default=None, repr=False)
    """What proves that a range belongs to this file; None: nothing does."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Edition:
        """The edition that a whole answer begins with."""
        length = headers.get("content-length", "")
        total = int(length) if length.isascii() and length.isdecimal() and len(length) <= 18 else None
        etag, modified = headers.get("etag", ""), headers.get("last-modified", "")
        if _STRONG.fullmatch(etag):
            return cls(total, etag, modified, etag)
        return cls(total, etag, modified, modified if _is_strong(modified, headers.get("date", "")) else None)

    def rest(self, size_bytes: int) -> dict[str, str]:
        """The headers that ask for what follows these bytes, and for all of it if the file is another by now.

        None where no mark is known: that another file of the same address is just as long would not be seen, and two
        halves that do not belong together may pass for a video. It is fetched from its first byte then.
        """
        if self.mark is None or not size_bytes:
            return {}
        return {"range": f"bytes={size_bytes}-", "if-range": self.mark}

    def continued(self, size_bytes: int, headers: Mapping[str, str]) -> Edition | None:
        """The same edition, its length known, where a partial answer goes on behind these bytes; None: it does not."""
        found = _RANGE.fullmatch(headers.get("content-range", "").strip())
        if found is None:
            return None
        first, last, total = map(int, found.groups())
        if first != size_bytes or not first <= last < total or total != (self.total or total):
            return None
        same = (
            headers["etag"] == self.etag
            if "etag" in headers and self.etag
            else headers.get("last-modified", self.modified) == self.modified
        )
        return evolve(self, total=total) if same else None


def _is_strong(modified: str, date: str) -> bool:
    """Whether a date proves a file: one of the answer's own second may stand for two (RFC 9110, section 8.8.2.2)."""
    if not _DATE.fullmatch(modified):
        return False
    try:
        return parsedate_to_datetime(date) - parsedate_to_datetime(modified) >= timedelta(seconds=1)
    except (ValueError, TypeError, OverflowError):
        return False
