"""State that survives."""
