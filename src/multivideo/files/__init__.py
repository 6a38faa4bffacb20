"""What a file really is: read from its own bytes, whatever its name or its sender says."""
