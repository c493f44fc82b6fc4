"""How the repository's tables changed from version to version (alembic)."""
