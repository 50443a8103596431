"""PostgreSQL and Valkey as children of one Python process, and the supervisor that keeps children running.

One process owns one data folder: it holds a lock on it, its servers die with it, and whatever an
earlier owner left behind is ended before new servers start. Two servers on one PostgreSQL folder
destroy it, so every rule in this package serves that one.
"""

from ops.stack.binaries import postgres_binary, valkey_binary
from ops.stack.embedded import EmbeddedStack, Urls
from ops.stack.errors import DataFolderInUseError, StackError
from ops.stack.folders import default_data
from ops.stack.running import running_urls, stored_sandbox_secret, stored_secret_key
from ops.stack.supervisor import Child, Supervisor

__all__ = [
    "Child",
    "DataFolderInUseError",
    "EmbeddedStack",
    "StackError",
    "Supervisor",
    "Urls",
    "default_data",
    "postgres_binary",
    "running_urls",
    "stored_sandbox_secret",
    "stored_secret_key",
    "valkey_binary",
]
