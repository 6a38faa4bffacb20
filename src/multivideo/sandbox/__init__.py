"""Pretend vendors that answer like the real ones and give real video files, with no key and no network."""

from multivideo.sandbox.callbacks import Callback
from multivideo.sandbox.core import DOORS, Emulator
from multivideo.sandbox.jobs import Job, State
from multivideo.sandbox.wire import ConnectionLost, Reply

__all__ = ["DOORS", "Callback", "ConnectionLost", "Emulator", "Job", "Reply", "State"]
