"""Files to Project: the only code that reads YAML."""
