"""`python -m specforge` is the same command as `spec`."""

from specforge.cli.start import main

if __name__ == "__main__":
    main()
