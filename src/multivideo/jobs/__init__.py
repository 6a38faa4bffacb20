"""One paid job, from its plan to its file."""
