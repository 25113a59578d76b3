"""What a container engine does: one module per noun."""
