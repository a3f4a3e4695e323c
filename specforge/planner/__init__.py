"""Plan: generic and pure; no kind is named here."""
