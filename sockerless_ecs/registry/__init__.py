"""OCI distribution."""
