"""`spec fmt`: YAML files laid out one way, with every comment where it stands and the same meaning."""

from specforge.cli.formatting.text import formatted, key_order

__all__ = ["formatted", "key_order"]
