"""``python -m cizsl``."""

import sys

from cizsl.cli.parser import main

if __name__ == "__main__":
    sys.exit(main())
