"""Piccolo's configuration: which engine and which tables. ``PICCOLO_CONF`` names this module."""

import os

from piccolo.conf.apps import AppRegistry
from piccolo.engine.postgres import PostgresEngine

DB = PostgresEngine(config={"dsn": os.environ.get("DATABASE_URL", "")})

APP_REGISTRY = AppRegistry(apps=["domain.piccolo_app"])

__all__ = ["APP_REGISTRY", "DB"]
