"""Queries on the views of read models; a row type per view is the contract."""
