"""Where a system outside is, by which secret one is let in, and whose certificates are trusted."""

import ssl
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from ontology.errors import InvalidInput, Problem, problem

__all__ = ["Login", "Place", "bearer_token", "is_this_machine", "login_from", "place_of", "trust_in"]

_PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}
_SECURED = frozenset({"https", "mqtts"})
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


class Place(NamedTuple):
    """An address taken apart: scheme, host, port and path without slashes at its ends."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_secured(self) -> bool:
        """Whether it is reached through TLS."""
        return self.scheme in _SECURED

    @property
    def url(self) -> str:
        """The address as text; IPv6 in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}" + (f"/{self.path}" if self.path else "")


class Login(NamedTuple):
    """A name and a password."""

    name: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.name!r}, …)"


def place_of(url: str, *schemes: str, path: str = "address") -> Place:
    """Take an address apart.

    Args:
        url: such as `https://scada.example.org/grid`, or `mqtt://localhost:1883/dso`.
        schemes: that may be; those without TLS only on this machine.
        path: what problems call it.

    Raises: InvalidInput with all that is wrong: scheme, host, port, a name or password in it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidInput(problem(path, url, f"an address that begins with {_either(schemes)}")) from None
    wrong = list(_problems(parts, url, schemes, path))
    if wrong:
        raise InvalidInput(wrong)
    return Place(parts.scheme, parts.hostname or "", port or _PORTS[parts.scheme], parts.path.strip("/"))


def _problems(parts: SplitResult, url: str, schemes: tuple[str, ...], path: str) -> list[Problem]:
    shown = url if "@" not in parts.netloc else f"{parts.scheme}://…@{parts.hostname}"
    wrong = []
    if parts.scheme not in schemes or not parts.hostname:
        wrong.append(problem(path, shown, f"an address that begins with {_either(schemes)} and names a host"))
    elif parts.scheme not in _SECURED and parts.hostname not in _THIS_MACHINE:
        wrong.append(problem(path, shown, f"{parts.scheme}s:// (without TLS only on this machine)"))
    if "@" in parts.netloc:
        wrong.append(problem(path, shown, "no name or password: they are in files"))
    if parts.query or parts.fragment:
        wrong.append(problem(path, shown, "nothing after the path"))
    return wrong


def _either(schemes: tuple[str, ...]) -> str:
    return " or ".join(f"{each}://" for each in schemes)


def is_this_machine(host: str) -> bool:
    """Tell whether a host is this machine, where nobody else listens in."""
    return host in _THIS_MACHINE


def bearer_token(file: Path) -> str:
    """Return the token that a file holds, which only its owner may read.

    Raises: InvalidInput when there is none, it is short or others may read it.
    """
    token = _secret(file)
    if len(token) < 16 or not token.isascii() or any(each.isspace() for each in token):
        raise InvalidInput(problem(str(file), "…", "16 characters of ASCII or more without a space"))
    return token


def login_from(file: Path) -> Login:
    """Return the name and password that a file holds as `name:password`; only its owner may read it.

    Raises: InvalidInput when it does not, or others may read it.
    """
    name, colon, password = _secret(file).partition(":")
    if not name or not colon or not password:
        raise InvalidInput(problem(str(file), "…", "one line, name:password"))
    return Login(name, password)


def trust_in(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that checks certificates by a file of authorities, or by the system's.

    Raises: InvalidInput when the file is none of certificates.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(problem(str(ca_file), str(error), "a file of certificates (PEM)")) from None


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
