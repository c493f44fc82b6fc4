"""A SunSpec unit: its models, found once a connection, read when they are asked for, written and verified."""

from collections.abc import Mapping, Sequence

import structlog

from environments.devices.health import HealthReport
from environments.devices.modbus.link import ModbusLink
from environments.devices.sunspec.discovery import BASES, Chain, NotSunSpec, discovered, read_model
from environments.devices.sunspec.models import SunSpecModel
from ontology.errors import Refused, Unavailable

__all__ = ["SunSpecUnit"]

log = structlog.get_logger()


class SunSpecUnit:
    """One unit behind a Modbus address."""

    def __init__(
        self, link: ModbusLink, unit: int, *, bases: Sequence[int] = BASES, serial: str = ""
    ) -> None:
        """Prepare to speak with a unit; with a serial number, with no other than that."""
        self.link, self.number, self._bases, self._serial = link, unit, bases, serial
        self._chain: Chain | None = None
        self._found_at = -1

    @property
    def health(self) -> HealthReport:
        """How it does."""
        return self.link.health_of(self.number).report()

    async def chain(self) -> Chain:
        """Return the unit's models, looked for again after each new connection.

        Raises: Unavailable when it does not answer, is no SunSpec device, or not the one that was installed.
        """
        if self._chain is not None and self._found_at == self.link.connections:
            return self._chain
        try:
            chain = await discovered(self.link, self.number, self._bases)
        except NotSunSpec as error:
            raise Unavailable(str(error)) from None
        found = chain.nameplate.serial
        if self._serial and found != self._serial:
            raise Unavailable(f"{self.link.address} unit {self.number} is {found!r}, not {self._serial!r}")
        if chain.wrong:
            log.warning("SunSpec chain", address=str(self.link.address), unit=self.number, wrong=chain.wrong)
        self._chain, self._found_at = chain, self.link.connections
        return chain

    async def read(self, *wanted: Sequence[int]) -> Chain:
        """Return the chain, with the first model of each choice that is there read anew.

        Where there is none of the first choice, the chain is looked for again the next time.
        Raises: Unavailable when the unit does not answer, or has changed.
        """
        chain = await self.chain()
        for choice in wanted:
            model = chain.first(*choice)
            if model is not None:
                await self.refresh(model)
            elif choice is wanted[0]:
                self._chain = None
        return chain

    async def refresh(self, model: SunSpecModel) -> None:
        """Read a model anew.

        Raises: Unavailable when the unit does not answer, or has changed.
        """
        try:
            await read_model(self.link, self.number, model)
        except Refused as error:  # another model stands there, or no registers do
            self._chain = None
            raise Unavailable(str(error)) from None

    async def write(self, model: SunSpecModel, values: Mapping[str, float]) -> None:
        """Write points of a model in this order, and check by reading that the device has taken them.

        Raises: Refused when it has not, or when one of them cannot be written; Unavailable.
        """
        told = {point: model.registers(point, value) for point, value in values.items()}
        for address, registers in told.values():
            await self.link.write(self.number, address, registers)
        registers_now = await self.link.read(self.number, model.address, model.length + 2)
        model.take(registers_now)
        for point, (address, registers) in told.items():
            at = address - model.address
            found = registers_now[at : at + len(registers)]
            if found != registers:
                self.link.health_of(self.number).counts["not taken"] += 1
                raise Refused(f"the device has {found} in {model.model_id}.{point}, not {registers}")
