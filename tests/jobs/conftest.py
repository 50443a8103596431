from tests.engine.fixtures import database_url, reused_database, rig

__all__ = ["database_url", "reused_database", "rig"]
