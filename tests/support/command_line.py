"""The type of the fixture ``run_changelane``."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

RunChangelane = Callable[..., subprocess.CompletedProcess[str]]
