"""``python -m tsode`` is the command ``tsode``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
