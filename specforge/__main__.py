"""`python -m specforge` is the same command as `spec`."""

from specforge.cli.app import main

if __name__ == "__main__":
    main()
