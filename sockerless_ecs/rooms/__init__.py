"""Every room, built in the order in which they depend on each other."""

from sockerless_ecs.rooms.ground import Ground
from sockerless_ecs.rooms.life import Rooms

__all__ = ["Ground", "Rooms"]
