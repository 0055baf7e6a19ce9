"""Rows in, rows out, inside one transaction: in memory, SQLite, PostgreSQL. No rule lives here."""
