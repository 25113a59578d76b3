"""How AWS requests are read and answered: protocols, shapes, and the way errors look on the wire."""
