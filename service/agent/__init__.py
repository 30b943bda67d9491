"""The worker: leases, one action at a time, fenced by holder and epoch."""
