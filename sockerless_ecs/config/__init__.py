"""One schema, one merge: defaults < YAML file < environment < flags."""

from sockerless_ecs.config.checks import check_paths
from sockerless_ecs.config.flags import DEFAULT_FILE, add_flags, find_file, flags_of
from sockerless_ecs.config.loading import Loaded, load
from sockerless_ecs.config.schema import LogSettings, Settings

__all__ = [
    "DEFAULT_FILE",
    "Loaded",
    "LogSettings",
    "Settings",
    "add_flags",
    "check_paths",
    "find_file",
    "flags_of",
    "load",
]
