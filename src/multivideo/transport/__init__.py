"""How bytes travel: the one module that knows the HTTP library, and the rules above it."""
