"""What it cost: holds, entries, leases and statements."""
