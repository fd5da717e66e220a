"""Makes `engine_tasks` importable here and, through the path that loky hands on, in workers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
