"""What a central system is told about itself and its charge points, checked all at once."""

import ssl
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path

import msgspec

from environments.wire.addresses import is_this_machine
from ontology.errors import InvalidInput, Problem, problem

__all__ = ["CentralSystemSettings", "ChargePointSettings", "Rate", "checked", "password_in", "tokens_in"]

_SHORTEST_PASSWORD = 16
_LONGEST_PASSWORD = 40


class Rate(StrEnum):
    """In what a charge point is told its limits: watts, or amperes a phase (OCPP chargingRateUnit)."""

    WATTS = "W"
    AMPERES = "A"


class ChargePointSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A charge point that is known here, by the identity at the end of its address.

    Powers are in W and of each connector. `names` are the devices that agents know, one a connector.
    `fallback_w` is what a connector may draw when nobody tells it anything, also without a connection.
    `vehicle_wh` and `arrival_state_of_charge` stand in where a vehicle does not tell how full it is.
    """

    identity: str
    password_file: str
    names: tuple[str, ...] = ("ev",)
    power_max_w: int = 11_000
    fallback_w: int = 4_200
    rate: Rate = Rate.WATTS
    phases: int = 3
    voltage_v: float = 230.0
    current_min_a: float = 6.0
    meter_every_s: int = 30
    admitted: bool = True
    vehicle_wh: int = 60_000
    arrival_state_of_charge: float = 0.2

    @property
    def least_w(self) -> float:
        """Below that a vehicle cannot charge (IEC 61851: 6 A)."""
        return self.current_min_a * self.voltage_v * self.phases


class CentralSystemSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a central system listens, and for whom.

    Security profile 1 is a password, 2 a password inside TLS (`certificate` and `key`, PEM). `tokens` is a
    file of `token name` lines: whom cards and applications stand for; `free` lets everybody charge.
    """

    charge_points: tuple[ChargePointSettings, ...]
    host: str = "127.0.0.1"
    port: int = 9000
    security_profile: int = 2
    certificate: str = ""
    key: str = ""
    tokens: str = ""
    free: bool = False
    heartbeat_s: int = 60
    answer_s: float = 5.0
    """How long a charge point may take to answer."""


def checked(settings: CentralSystemSettings) -> CentralSystemSettings:
    """Return settings in which nothing is wrong, files included.

    Raises: InvalidInput with every field that is wrong.
    """
    wrong = [*_own(settings), *_files(settings)]
    for number, point in enumerate(settings.charge_points):
        wrong += _of_point(f"charge_points[{number}]", point)
    wrong += _doubled("identity", [point.identity for point in settings.charge_points])
    wrong += _doubled("names", [name for point in settings.charge_points for name in point.names])
    if wrong:
        raise InvalidInput(wrong)
    return settings


def _own(settings: CentralSystemSettings) -> Iterator[Problem]:
    if not settings.charge_points:
        yield problem("charge_points", (), "at least one")
    if settings.security_profile not in (1, 2):
        yield problem(
            "security_profile", settings.security_profile, "1 (password) or 2 (password inside TLS)"
        )
    if settings.security_profile == 2 and not (settings.certificate and settings.key):
        yield problem(
            "certificate", settings.certificate, "a certificate and a key: security profile 2 is TLS"
        )
    if not 0 <= settings.port <= 65_535:
        yield problem("port", settings.port, "0 (a free one) to 65535")
    if settings.heartbeat_s < 1:
        yield problem("heartbeat_s", settings.heartbeat_s, "at least 1")
    if not 0.05 <= settings.answer_s <= 30:
        yield problem("answer_s", settings.answer_s, "0.05 to 30")
    if not settings.tokens and not settings.free:
        yield problem("tokens", "", "a file of tokens, or free: true")


def _files(settings: CentralSystemSettings) -> Iterator[Problem]:
    if settings.tokens:
        yield from _wrong_in(lambda: tokens_in(settings.tokens))
    for point in settings.charge_points:
        yield from _wrong_in(partial(password_in, point.password_file))
    if settings.certificate and settings.key:
        yield from _wrong_in(lambda: tls_of(settings))


def _wrong_in(read: Callable[[], object]) -> Sequence[Problem]:
    try:
        read()
    except InvalidInput as error:
        return error.problems
    return ()


def _of_point(path: str, point: ChargePointSettings) -> Iterator[Problem]:
    usable = point.identity.isascii() and point.identity.replace("-", "").replace("_", "").isalnum()
    if not usable or len(point.identity) > 48:
        yield problem(f"{path}.identity", point.identity, "letters, digits, - and _, 48 at most")
    if not point.names:
        yield problem(f"{path}.names", (), "a device name for each connector")
    if point.power_max_w <= 0:
        yield problem(f"{path}.power_max_w", point.power_max_w, "positive")
    if not 0 <= point.fallback_w <= point.power_max_w:
        yield problem(f"{path}.fallback_w", point.fallback_w, f"0 to power_max_w = {point.power_max_w}")
    if point.phases not in (1, 2, 3):
        yield problem(f"{path}.phases", point.phases, "1, 2 or 3")
    if not 100 <= point.voltage_v <= 300:
        yield problem(f"{path}.voltage_v", point.voltage_v, "100 to 300, of a phase to the neutral")
    if not 0 <= point.current_min_a <= 32:
        yield problem(f"{path}.current_min_a", point.current_min_a, "0 to 32")
    if not 1 <= point.meter_every_s <= 900:
        yield problem(f"{path}.meter_every_s", point.meter_every_s, "1 to 900")
    if point.vehicle_wh <= 0:
        yield problem(f"{path}.vehicle_wh", point.vehicle_wh, "positive")
    if not 0 <= point.arrival_state_of_charge <= 1:
        yield problem(f"{path}.arrival_state_of_charge", point.arrival_state_of_charge, "0 to 1")


def _doubled(what: str, values: Sequence[str]) -> Iterator[Problem]:
    for value in sorted({each for each in values if values.count(each) > 1}):
        yield problem(f"charge_points.{what}", value, "once only")


def password_in(file: str) -> str:
    """Return the password that a file holds, which only its owner may read (OCPP AuthorizationKey).

    Raises: InvalidInput when there is none, others may read it, or it is not of 16 to 40 characters.
    """
    password = _secret(Path(file))
    usable = _SHORTEST_PASSWORD <= len(password) <= _LONGEST_PASSWORD and password.isascii()
    if not usable or any(each.isspace() for each in password):
        raise InvalidInput(problem(file, "…", "16 to 40 characters of ASCII without a space"))
    return password


def tokens_in(file: str) -> dict[str, str]:
    """Return who each token stands for; tokens are compared without regard to case (OCPP CiString).

    Raises: InvalidInput with every line that is not `token name`.
    """
    found, wrong = dict[str, str](), list[Problem]()
    for number, line in enumerate(_secret(Path(file)).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or len(words[0]) > 36:
            wrong.append(problem(f"{file}:{number}", "…", "a token of at most 36 characters, and a name"))
        else:
            found[words[0].upper()] = words[1]
    if wrong:
        raise InvalidInput(wrong)
    return found


def tls_of(settings: CentralSystemSettings) -> ssl.SSLContext | None:
    """Return the central system's side of TLS (1.2 or newer), or None in security profile 1.

    Raises: InvalidInput when certificate or key cannot be used.
    """
    if settings.security_profile != 2:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.certificate, settings.key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(
            problem("certificate", settings.certificate, f"a certificate and its key (PEM): {error}")
        ) from None
    return context


def listens_in_clear(settings: CentralSystemSettings) -> bool:
    """Tell whether passwords cross a network unencrypted."""
    return settings.security_profile == 1 and not is_this_machine(settings.host)


def _secret(file: Path) -> str:
    try:
        if file.stat().st_mode & 0o077:
            raise InvalidInput(
                problem(str(file), "readable by others", "a file that only its owner may read")
            )
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise InvalidInput(problem(str(file), reason, "a file with a secret")) from None
