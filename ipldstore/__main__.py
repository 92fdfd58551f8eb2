"""Run the command line as ``python -m ipldstore``."""

from ipldstore.cli import main

if __name__ == "__main__":
    main()
