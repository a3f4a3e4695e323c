"""Files to Project: the only code that reads YAML."""

from specforge.loading.project import find_root, load

__all__ = ["find_root", "load"]
