"""Where a Modbus server listens."""

from typing import NamedTuple

__all__ = ["ModbusAddress"]


class ModbusAddress(NamedTuple):
    """Where a Modbus server listens."""

    host: str
    port: int = 502

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"
