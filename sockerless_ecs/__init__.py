"""A container engine whose containers are AWS Fargate tasks."""

__version__ = "0.1.0"
