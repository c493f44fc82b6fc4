"""How long facts are kept, and letting go of those that are past: for all markets of a database.

Readings are personal data: SPEC 7.2 keeps those of intervals for 13 months, finer ones for 30 days, and what
was logged for 90. What is settled by, agreements and master data are kept until somebody deletes them.
"""

from collections.abc import Mapping
from types import MappingProxyType

import sqlalchemy as sa

from environments.repository.engines import Engines
from environments.repository.keys import is_timeless
from environments.repository.locks import Lock, alone
from environments.repository.packing import SETTLEMENT_TYPES
from environments.repository.partitions import Partitions
from environments.repository.schema import READINGS, facts, series
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["RETENTION_DAYS", "checked_retention", "prune"]

SECONDS_A_DAY = 86_400
READINGS_DAYS, FINE_DAYS, LOG_DAYS = 396, 30, 90

RETENTION_DAYS: Mapping[str, int] = MappingProxyType(
    {
        "parity:IntervalReading": READINGS_DAYS,
        "parity:WeatherObservation": READINGS_DAYS,
        "parity:EvSession": READINGS_DAYS,
        "parity:Measurement": FINE_DAYS,
        "parity:GridMeasurement": FINE_DAYS,
        "parity:DstatcomStatus": FINE_DAYS,
        "parity:EvSocUpdate": FINE_DAYS,
        "parity:ThermalStatus": FINE_DAYS,
        "s2:StorageStatus": FINE_DAYS,
        "parity:AssetAlarm": LOG_DAYS,
        "parity:EvConnectionEvent": LOG_DAYS,
        "parity:EvDisconnectionEvent": LOG_DAYS,
        "parity:EvUserInput": LOG_DAYS,
        "parity:FlexibilityForecast": LOG_DAYS,
        "parity:Forecast": LOG_DAYS,
        "parity:WeatherForecast": LOG_DAYS,
        "s2:FlexEnvelope": LOG_DAYS,
        "s2:Instruction": LOG_DAYS,
        "s2:InstructionStatus": LOG_DAYS,
    }
)
"""Days by message type; what is not named is kept."""


def checked_retention(days: Mapping[str, int]) -> dict[str, int]:
    """Return the default days with others in their place; 0 days mean for ever.

    Raises: InvalidInput with every type that has no time or is settled by, and every negative number.
    """
    problems: list[Problem] = []
    for entity, kept in days.items():
        if entity in SETTLEMENT_TYPES:
            problems.append(problem("retention", entity, "a type that nothing is settled by"))
            continue
        try:
            timeless = is_timeless(entity)
        except InvalidInput as error:
            problems.extend(error.problems)
            continue
        if timeless:
            problems.append(problem("retention", entity, "a type with a time of its own"))
        if kept < 0:
            problems.append(problem(f"retention.{entity}", kept, "days, not negative; 0 keeps for ever"))
    if problems:
        raise InvalidInput(problems)
    return {entity: kept for entity, kept in {**RETENTION_DAYS, **days}.items() if kept}


def prune(engines: Engines, now_s: float, days: Mapping[str, int] = RETENTION_DAYS) -> dict[str, int]:
    """Delete what is older than it is kept, all or nothing, and return how many facts went, by type.

    In PostgreSQL whole months of readings go with their partition.

    Args:
        engines: of the database.
        now_s: epoch seconds from which days are counted back.
        days: by message type, as `checked_retention` returns them.

    Raises: Unavailable when the database does not take it; then nothing is deleted.
    """
    gone = {}
    with engines.writing(durable=True) as connection:
        alone(connection, Lock.SERIES)
        for entity, kept in days.items():
            before_s = int(now_s) - kept * SECONDS_A_DAY
            readings = READINGS.get(entity)
            if readings is None:
                gone[entity] = _facts_before(connection, entity, before_s)
            else:
                gone[entity] = _readings_before(connection, entity, readings, before_s)
    return {entity: number for entity, number in gone.items() if number}


def _facts_before(connection: sa.Connection, entity: str, before_s: int) -> int:
    past = sa.delete(facts).where(facts.c.entity == entity, facts.c.time_s < before_s)
    return connection.execute(past).rowcount


def _readings_before(connection: sa.Connection, entity: str, table: sa.Table, before_s: int) -> int:
    number = 0
    if connection.dialect.name == "postgresql":
        for partition in list(Partitions.past(connection, table.name, before_s)):
            number += connection.exec_driver_sql(f"SELECT count(*) FROM {partition}").scalar_one()
            connection.exec_driver_sql(f"DROP TABLE {partition}")
    number += connection.execute(sa.delete(table).where(table.c.time_s < before_s)).rowcount
    if number:
        has_readings = sa.exists().where(table.c.series_id == series.c.series_id)
        connection.execute(sa.delete(series).where(series.c.entity == entity, ~has_readings))
    return number
