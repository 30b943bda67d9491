"""The cases: each measures one thing against its budget and cleans up after itself."""
