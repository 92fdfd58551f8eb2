"""Points are found by tracing instructions, which CPython does otherwise from 3.12 on."""

import sys

collect_ignore_glob = [] if sys.version_info < (3, 12) else ["test_*.py"]
