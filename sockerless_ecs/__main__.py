"""`python -m sockerless_ecs` is `sockerless-backend-ecs`."""

from __future__ import annotations

import sys

from sockerless_ecs.cli import main

sys.exit(main())
