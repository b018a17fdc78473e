"""The append-only event log of all searches, its schema, database and locks."""
