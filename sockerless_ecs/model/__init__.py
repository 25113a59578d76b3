"""Pure values and rules: no I/O, no AWS, no HTTP."""
