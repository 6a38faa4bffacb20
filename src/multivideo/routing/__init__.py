"""Who shall make it, why, and for how much: pure."""
