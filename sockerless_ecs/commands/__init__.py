"""The commands of `sockerless-backend-ecs`, one module each, imported only when asked for."""
