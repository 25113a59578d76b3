"""The embedded AWS: moto, a task runner and a registry, for trying, developing and testing."""
