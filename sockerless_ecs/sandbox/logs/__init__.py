"""CloudWatch Logs: groups, streams, events, and the awslogs driver that fills them."""
