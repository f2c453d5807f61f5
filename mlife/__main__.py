"""`python -m mlife` is the command line."""

from mlife.cli import main

if __name__ == "__main__":
    main()
