"""Models of vendors, against servers that speak their wire formats."""
