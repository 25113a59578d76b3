"""ECS on Fargate: definitions, tasks with their true life, and the operations on them."""
