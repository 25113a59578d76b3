"""Long-running tasks, each with an owner nursery."""
