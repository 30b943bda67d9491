"""An HTTP and SSE client for programs, the command line and tests."""
