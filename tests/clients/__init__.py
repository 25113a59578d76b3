"""Stock Docker clients on our daemon, and the same on a real dockerd where there is one."""
