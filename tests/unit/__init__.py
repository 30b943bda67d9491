"""No I/O at all; the whole ring takes seconds."""
