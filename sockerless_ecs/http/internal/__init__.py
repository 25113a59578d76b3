"""The internal API, /internal/v1."""
