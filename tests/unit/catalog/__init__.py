"""The catalog: its rows, its refusals, its prices and its page."""
