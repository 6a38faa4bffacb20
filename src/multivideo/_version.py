"""The one place that knows the version; the package's metadata is read nowhere at run time."""

__version__ = "0.1.0"
