"""The schema's history, one Alembic revision a file under ``versions/``; ``server.storage.migrate`` runs them.

``schema.py`` is the present; a test compares it with the end of this history, on SQLite and on PostgreSQL.
"""
