"""specforge: Terraform for machine learning.

Importing the package loads nothing else; the command line lives in `specforge.cli`.
"""

__version__ = "0.1.0"
