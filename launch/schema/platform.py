"""What a scenario runs on: server, ledger, repository, planning, faults."""

from typing import Annotated, Literal

from msgspec import Meta

from launch.schema.section import Section

__all__ = ["Faults", "Ledger", "Planning", "Registry", "Repository", "Server"]


class Server(Section, frozen=True, kw_only=True):
    """The XMPP server of a live run. Short form: its kind."""

    kind: Annotated[
        Literal["embedded", "prosody", "external"],
        Meta(description="`embedded` and `prosody` are started by the run, `external` is there already"),
    ] = "embedded"
    connection: Annotated[
        Literal["accounts", "component"],
        Meta(description="`accounts`: one for each agent; `component`: all on one (prosody), for thousands"),
    ] = "accounts"
    host: Annotated[str, Meta(description="of an external server")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535, description="of an external server; 0 = any free one")] = 0
    domain: Annotated[str, Meta(pattern=r"^[^@/\s]+$", description="of the agents' addresses")] = "localhost"
    ca_file: Annotated[str | None, Meta(description="certificates to trust, PEM")] = None


class Ledger(Section, frozen=True, kw_only=True):
    """Where tokens are settled. Short form: the URL."""

    url: Annotated[str, Meta(description="`embedded`, or the JSON-RPC address of an EVM node")] = "embedded"
    file: Annotated[
        str | None, Meta(description="of the embedded chain, taken up again when it is there; none: memory")
    ] = None
    key_file: Annotated[
        str | None, Meta(description="of the submitter, for a node: hexadecimal, or an encrypted keystore")
    ] = None
    password_file: Annotated[str | None, Meta(description="of the keystore")] = None
    chain_id: Annotated[int, Meta(ge=0, le=2**53 - 1, description="that a node must be of; 0 = any")] = 0
    contract: Annotated[str, Meta(description="address of a settlement contract; empty: a new one")] = ""
    journal_file: Annotated[
        str | None,
        Meta(description="for a node: what was sent, to give back what it loses, and where contracts are"),
    ] = None
    attestors: Annotated[
        int, Meta(ge=1, le=16, description="who vouch for each settlement: aggregator, DSO, then sites")
    ] = 1
    register: Annotated[
        Literal["none", "memory", "chain"],
        Meta(description="where grid states, tariffs and markets are written down for all to read"),
    ] = "none"
    registry: Annotated[str, Meta(description="address of a register's contract; empty: a new one")] = ""
    dso_key_file: Annotated[
        str | None, Meta(description="of who writes grid states on a node; none: the submitter does")
    ] = None
    market_key_file: Annotated[
        str | None, Meta(description="of who writes tariffs on a node; none: the submitter does")
    ] = None
    balances: Annotated[
        Literal["accounts", "roots"],
        Meta(
            description="on the chain: everybody's, or one root over all, with proofs, for large communities"
        ),
    ] = "accounts"
    balances_file: Annotated[
        str | None,
        Meta(description="what the roots stand for; none: `file` with `.balances`, or memory"),
    ] = None
    challenge_window_s: Annotated[
        int, Meta(ge=900, le=2_592_000, description="seconds in which a root can be challenged")
    ] = 86_400


class Registry(Section, frozen=True, kw_only=True):
    """Who is behind the sites. Short form: the folder."""

    folder: Annotated[
        str,
        Meta(description="from `parity-mas registry init`; empty: nobody, pseudonyms follow from the seed"),
    ] = ""


class Repository(Section, frozen=True, kw_only=True):
    """Where facts are kept. Short form: the URL."""

    url: Annotated[
        str,
        Meta(
            description="`sqlite:///FILE` or `postgresql://user@host/database?passfile=FILE`, never with a "
            "password; empty: memory offline, a file for the time of a live run"
        ),
    ] = ""
    market: Annotated[
        str,
        Meta(pattern="^[a-z0-9][a-z0-9_-]{0,62}$", description="whose facts: runs of one see the same"),
    ] = "defaultmarket"


class Planning(Section, frozen=True, kw_only=True):
    """How a site plans its devices. Short form: the solver."""

    solver: Annotated[
        Literal["fast", "exact"],
        Meta(description="`fast`: within a hundredth of the optimum; `exact`: a programme for all at once"),
    ] = "fast"
    intervals: Annotated[
        int, Meta(ge=1, le=96, description="from one plan to the next, unless something happens before")
    ] = 4


class Faults(Section, frozen=True, kw_only=True):
    """What the in-process post does to letters of an offline run."""

    delay_s: Annotated[float, Meta(ge=0, le=900, description="mean delay of a letter, virtual seconds")] = 0
    loss: Annotated[float, Meta(ge=0, lt=1, description="share of letters lost")] = 0
