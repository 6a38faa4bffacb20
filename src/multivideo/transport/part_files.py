"""Files under way: written beside their target, locked while they live, and removed by the next when they are dead."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from attrs import define, field

from ..errors import LedgerError

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["PartFile", "remove_leftovers"]

_BUFFER_BYTES = 64 * 1024  # TLS brings 16 KiB at a time


@define(eq=False)
class PartFile:
    """A file that is not whole yet, under a temporary name; its lock tells a living writer from a dead one.

    What the disk refuses is a LedgerError.
    """

    path: Path
    _out: BinaryIO
    size_bytes: int = 0
    _digest: _Hash = field(factory=hashlib.sha256)

    @classmethod
    def create(cls, folder: Path, name: str) -> PartFile:
        """An empty one in that folder; `name` is the same for whatever would take its place."""
        while True:
            path = folder / f"{_prefix(name)}{secrets.token_hex(8)}.part"
            try:
                out = path.open("xb", _BUFFER_BYTES)
            except OSError as error:
                raise _unwritable(folder, error) from None
            # who clears leftovers may have come between the two: then the name is gone, or about to go
            if _locked(out) and path.exists():
                return cls(path, out)
            out.close()

    @property
    def sha256(self) -> str:
        """The digest of what was written so far, in hexadecimal."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Append these bytes."""
        try:
            self._out.write(data)
        except OSError as error:
            raise _unwritable(self.path.parent, error) from None
        self._digest.update(data)
        self.size_bytes += len(data)

    def restart(self) -> None:
        """Forget what was written."""
        try:
            self._out.seek(0)
            self._out.truncate()
        except OSError as error:
            raise _unwritable(self.path.parent, error) from None
        self._digest, self.size_bytes = hashlib.sha256(), 0

    def flush(self) -> None:
        """Return once every byte is on the disk."""
        try:
            self._out.flush()
            os.fsync(self._out.fileno())
        except OSError as error:
            raise _unwritable(self.path.parent, error) from None

    def rename(self, target: Path) -> None:
        """Give it its name at once, and make the name itself durable."""
        self.close()  # Windows renames no open file
        try:
            self.path.replace(target)
        except OSError as error:
            raise _unwritable(target.parent, error) from None
        if os.name == "posix":
            with suppress(OSError):  # some network file systems cannot flush a folder; the file is there all the same
                folder = os.open(target.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)

    def close(self) -> None:
        """Let go of the file and its lock; harmless when repeated."""
        with suppress(OSError):  # a full disk says so once more
            self._out.close()

    def discard(self) -> None:
        """Remove the file; harmless after it was renamed."""
        self.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, name: str) -> None:
    """Remove the files of that name whose writer was killed; a living one's stay."""
    ours = re.compile(re.escape(_prefix(name)) + r"[0-9a-f]{16}\.part")
    with suppress(OSError):
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if ours.fullmatch(entry.name)]
        for path in found:
            with suppress(OSError):
                _remove_dead(path)


def _prefix(name: str) -> str:
    """How the names of these files begin; a name may come from a stored reference, which anybody can have written."""
    return f".multivideo-{re.sub(r'[^A-Za-z0-9_-]', '_', name)[:100]}-"


if sys.platform == "win32":

    def _locked(file: BinaryIO) -> bool:
        return True  # nobody can remove an open file there, which serves the same

    def _remove_dead(path: Path) -> None:
        path.unlink()

else:
    import fcntl

    def _locked(file: BinaryIO) -> bool:
        """Whether the lock is ours; also where the file system knows no locks, so that nobody removes anything."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return not isinstance(error, BlockingIOError)
        return True

    def _remove_dead(path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(handle)


def _unwritable(folder: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"The video could not be written to {folder} ({error.strerror}).",
        field="save_to",
        hint="make room or choose another folder; resume error.ref to fetch it again without paying",
        charged="yes",
    )
