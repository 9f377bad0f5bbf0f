"""``python -m sde``."""

import sys

from sde.cli.parser import main

if __name__ == "__main__":
    sys.exit(main())
