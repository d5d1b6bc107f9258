"""What every test sees: helper modules of the test's own directory, and a compile cache of the run's own."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

_cache = tempfile.mkdtemp(prefix="sapwood-test-cache-")
os.environ.setdefault("SAPWOOD_CACHE_DIR", _cache)

for name in ("lang",):
    directory = str(Path(__file__).parent / name)
    if directory not in sys.path:
        sys.path.insert(0, directory)
