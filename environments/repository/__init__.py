"""What is remembered: facts for every agent, each agent's own state, and the letters that were exchanged."""

from environments.repository.agent_store import MemoryAgentStore, SqliteAgentStore
from environments.repository.memory import MemoryRepository
from environments.repository.recorder import NullRecorder, SqliteRecorder
from environments.repository.store import SqlRepository

__all__ = [
    "MemoryAgentStore",
    "MemoryRepository",
    "NullRecorder",
    "SqlRepository",
    "SqliteAgentStore",
    "SqliteRecorder",
]
