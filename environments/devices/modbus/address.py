"""Where a Modbus server listens."""

from typing import NamedTuple

from ontology.errors import InvalidInput, problem

__all__ = ["ModbusAddress", "address_of"]


class ModbusAddress(NamedTuple):
    """Where a Modbus server listens."""

    host: str
    port: int = 502

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def address_of(text: str, path: str) -> ModbusAddress:
    """Take `HOST:PORT` apart; port 0 is a free one.

    Raises: InvalidInput when it is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise InvalidInput(problem(path, text, "HOST:PORT, such as 127.0.0.1:5020"))
    return ModbusAddress(host.strip("[]"), int(port))
