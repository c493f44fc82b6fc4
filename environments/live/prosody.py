"""Prosody as a server of ours: Debian's XMPP server, configured the way a pilot should run it."""

import hashlib
import hmac
import os
import re
import secrets
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from environments.live.population import Component
from environments.live.server import LocalServer, name_in
from ontology.errors import Unavailable

__all__ = ["ProsodyAccounts", "ProsodyServer", "available"]

_ITERATIONS = 4_096

_CONFIGURATION = """\
-- Written by parity-mas. The same settings serve a pilot; there, data_path, storage and certificates last.
{root}daemonize = false
pidfile = "{folder}/prosody.pid"
log = {{ {{ levels = {{ min = "info" }}, to = "file", filename = "{folder}/server.log" }} }}
data_path = "{folder}/data"
default_storage = "memory"
storage = {{ accounts = "internal" }}

modules_enabled = {{ "disco", "roster", "saslauth", "tls", "ping", "offline", "limits", "smacks", "time" }}
modules_disabled = {{ "s2s" }}
interfaces = {{ "{host}" }}
c2s_ports = {{ {port} }}
c2s_direct_tls_ports = {{ }}
s2s_ports = {{ }}
http_ports = {{ }}
https_ports = {{ }}

-- Who loses its connection can resume it for a minute; after that others are told that it is gone.
smacks_hibernation_time = 60

-- Letters make much short-lived garbage: half as many again a second (Lua 5.4).
gc = {{ mode = "generational" }}
-- No opportunistic_writes here: with smacks, Prosody 0.12.3 then spins for ever when a connection breaks.
-- Nagle's algorithm and delayed acknowledgements would hold each answer up for 40 ms. After each 8 kB from a
-- connection without TLS, such as a component's, the server waits for min_wait, a millisecond by default.
network_settings = {{ nagle = false, read_size = 65536, min_wait = 0.0001 }}

authentication = "internal_hashed"
password_hash = "SHA-256"
allow_registration = false
c2s_require_encryption = true
ssl = {{
    certificate = "{folder}/{domain}_cert.pem",
    key = "{folder}/{domain}_key.pem",
    protocol = "tlsv1_2+",
}}

-- A client may send 10 kB a second by default, too little for an agent with forecasts to share.
limits = {{ c2s = {{ rate = "100mb/s", burst = "2s" }} }}
component_ports = {{ {component_port} }}
component_interfaces = {{ "{host}" }}
component_stanza_size_limit = 1024 * 512
c2s_stanza_size_limit = 1024 * 512

VirtualHost "{domain}"
"""

_COMPONENT = """
Component "{domain}"
    component_secret = "{secret}"
"""


def available() -> bool:
    """Whether Prosody is installed here."""
    return _program() is not None


class ProsodyAccounts:
    """The accounts of a domain in Prosody's data folder, which may be changed while it runs.

    Prosody must keep them so: `storage = { accounts = "internal" }`, `password_hash = "SHA-256"`.
    """

    def __init__(self, data: Path, domain: str) -> None:
        """Keep the accounts of a domain under Prosody's `data_path`.

        Raises: Unavailable when the folder cannot be made.
        """
        self.domain = domain
        self._folder = data / _escaped(domain) / "accounts"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"accounts in {self._folder}: {error.strerror}") from error
        self._owner = data.stat()

    def register(self, address: str, password: str) -> None:
        """Give an address an account, or a new password; only what verifies it is kept.

        Raises: InvalidInput when the address is not in the domain, Unavailable when the disk is full.
        """
        name = name_in(self.domain, address)
        salt = secrets.token_hex(16)
        stored_key, server_key = _scram_keys(password, salt)
        fields = {"stored_key": stored_key, "server_key": server_key, "salt": salt}
        lines = [f'\t["{key}"] = "{value}";' for key, value in fields.items()]
        record = "\n".join(["return {", f'\t["iteration_count"] = {_ITERATIONS};', *lines, "};\n"])
        file = self._folder / f"{_escaped(name)}.dat"
        draft = file.with_suffix(".draft")
        try:
            draft.touch(mode=0o600)
            draft.write_text(record)
            if os.geteuid() == 0:
                for each in (self._folder.parent, self._folder, draft):
                    os.chown(each, self._owner.st_uid, self._owner.st_gid)
            draft.rename(file)
        except OSError as error:
            raise Unavailable(f"account {address}: {error.strerror}") from error

    def remove(self, address: str) -> None:
        """Let an account go; it need not be there."""
        (self._folder / f"{_escaped(name_in(self.domain, address))}.dat").unlink(missing_ok=True)


class ProsodyServer(LocalServer):
    """Prosody on a free port of 127.0.0.1: TLS and SCRAM-SHA-256 required, no registration."""

    def _prepare(self) -> None:
        self._book = ProsodyAccounts(self.folder / "data", self.domain)
        self._components: dict[str, str] = {}
        self.component_port = 0

    def admit(self, domain: str) -> None:
        """Let a component serve a domain, from the next start on; the secret is drawn here."""
        self._components[domain] = secrets.token_urlsafe(24)

    @property
    def secrets(self) -> Mapping[str, str]:
        """The secret of each component's domain."""
        return dict(self._components)

    def component(self, domain: str) -> Component:
        """Return the way for the component of a domain to the started server.

        Raises: KeyError when none was admitted.
        """
        return Component(self.host, self.component_port, domain, self._components[domain])

    def register(self, address: str, password: str) -> None:
        """Give an address an account, or a new password."""
        self._book.register(address, password)

    def _command(self) -> list[str]:
        program = _program()
        if program is None:
            raise Unavailable("Prosody is not installed; scripts/install-servers installs it")
        self.port = self.port or _free_port(self.host)
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        configuration = self.folder / "prosody.cfg.lua"
        root = "run_as_root = true\n" if os.geteuid() == 0 else ""
        if self._components and not self.component_port:
            self.component_port = _free_port(self.host)
        components = [_COMPONENT.format(domain=d, secret=s) for d, s in self._components.items()]
        configuration.touch(mode=0o600)
        configuration.write_text(
            _CONFIGURATION.format(
                root=root,
                folder=self.folder,
                host=self.host,
                port=self.port,
                component_port=self.component_port or "",
                domain=self.domain,
            )
            + "".join(components)
        )
        return [program, "-F", "--config", str(configuration)]

    def _listening_port(self) -> int | None:
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            written = log.read().decode(errors="replace")
        if "Failed to open server port" in written:
            raise Unavailable(f"port {self.port} is taken")
        services = ["c2s", *(["component"] if self._components else [])]
        ready = all(re.search(rf"Activated service '{service}' on ", written) for service in services)
        return self.port if ready else None

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"


def _program() -> str | None:
    return shutil.which("prosody", path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")


def _free_port(host: str) -> int:
    """Ask the system for a port; Prosody takes it a moment later."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _scram_keys(password: str, salt: str) -> tuple[str, str]:
    """Return what a server keeps of a password (RFC 5802, SHA-256): stored key and server key, in hex."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), _ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return hashlib.sha256(client_key).hexdigest(), server_key.hex()


def _escaped(name: str) -> str:
    """Write a name as Prosody names its files: all but letters and digits as `%xx`."""
    return "".join(
        chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"%{byte:02x}" for byte in name.encode()
    )
