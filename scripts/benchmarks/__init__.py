"""What `scripts/bench` measures, and how: a harness, helpers, one module per case."""
