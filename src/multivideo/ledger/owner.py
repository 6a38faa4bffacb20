"""Who drives a job: host, process and client, as it stands in a lease."""

from __future__ import annotations

import os
import socket
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path

__all__ = ["is_dead", "owner", "same_process"]


def owner() -> str:
    """A name of its own for each client of each process: host, process id, when the process began, and a number."""
    return f"{_process(os.getpid())}|{uuid.uuid4().hex[:8]}"


@cache
def _process(pid: int) -> str:
    """This process: a fork is another one."""
    return f"{_host()}|{pid}|{_began(pid)}"


def is_dead(name: str | None) -> bool:
    """Whether the process of an owner is gone for certain: on this host, and no process of that number and age runs."""
    host, pid, began = _parts(name)
    if name is not None and name.startswith(f"{_process(os.getpid())}|"):
        return False
    if host != _host() or not pid.isdigit() or os.name != "posix":
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    now = _began(int(pid))
    return bool(began and now) and began != now


def same_process(one: str | None, other: str | None) -> bool:
    """Whether two owners are clients of one process, which may hand jobs to each other."""
    return bool(one) and _parts(one) == _parts(other)


def _host() -> str:
    """This host; on Linux with the space in which its process ids count, since containers may share a host's name."""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
        return f"{socket.gethostname()} {space}".replace("|", "-")
    return socket.gethostname().replace("|", "-")


def _parts(name: str | None) -> tuple[str, str, str]:
    parts = (name or "").split("|")
    return (parts[0], parts[1], parts[2]) if len(parts) == 4 else ("", "", "")


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks; "" where the system does not tell, "ended" for a zombie."""
    with suppress(OSError, IndexError):
        facts = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return "ended" if facts[0] in {"Z", "X"} else facts[19]
    return ""
