"""`python -m tests.ops.loud …` is `mlife …` with everything that any library logs on standard error."""

import logging

from mlife.cli import main

if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG, format="%(name)s %(message)s", force=True)
    main()
