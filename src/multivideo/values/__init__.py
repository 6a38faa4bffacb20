"""What travels through the library: frozen values."""
