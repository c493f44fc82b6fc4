"""The tables of the interface's own: tokens, idempotency keys, and the audit log, which only grows."""

import sqlalchemy as sa

__all__ = ["METADATA", "audit", "leases", "replies", "secrets", "sessions", "tokens"]

METADATA = sa.MetaData()

tokens = sa.Table(
    "api_tokens",
    METADATA,
    sa.Column("token_id", sa.Text, primary_key=True, comment="public name of the token"),
    sa.Column("hash", sa.Text, nullable=False, unique=True, comment="SHA-256 of the token, hexadecimal"),
    sa.Column("name", sa.Text, nullable=False, comment="whose it is, for the operator"),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("subjects", sa.Text, nullable=False, comment="JSON list of sites and pseudonyms"),
    sa.Column("market", sa.Text, nullable=False, comment="namespace of facts"),
    sa.Column("created_s", sa.BigInteger, nullable=False),
    sa.Column("expires_s", sa.BigInteger, nullable=False),
    sa.Column("revoked_s", sa.BigInteger, nullable=True),
    sa.Column("requests_per_s", sa.Float, nullable=True, comment="none: the usual rate"),
    sa.Column("rights", sa.Text, nullable=False, comment="JSON list of what it grants beyond its role"),
)

replies = sa.Table(
    "api_replies",
    METADATA,
    sa.Column("token_id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True, comment="the Idempotency-Key"),
    sa.Column("request", sa.Text, nullable=False, comment="SHA-256 of method, path and body"),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("time_s", sa.BigInteger, nullable=False, index=True),
)

sessions = sa.Table(
    "console_sessions",
    METADATA,
    sa.Column("hash", sa.Text, primary_key=True, comment="SHA-256 of the cookie, hexadecimal"),
    sa.Column("token_id", sa.Text, nullable=False),
    sa.Column("expires_s", sa.BigInteger, nullable=False),
)

leases = sa.Table(
    "console_leases",
    METADATA,
    sa.Column("lease_id", sa.Text, primary_key=True),
    sa.Column("asset_id", sa.Text, nullable=False, index=True),
    sa.Column("slot", sa.Text, nullable=True, unique=True, comment="the asset, while it is on loan"),
    sa.Column("token_id", sa.Text, nullable=False, comment="whose token took it"),
    sa.Column("holder", sa.Text, nullable=False, comment="name of that token"),
    sa.Column("from_s", sa.BigInteger, nullable=False, comment="of the agents' clock"),
    sa.Column("until_s", sa.BigInteger, nullable=False),
    sa.Column("told", sa.Text, nullable=False, comment="the instruction, as JSON"),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
)

secrets = sa.Table(
    "api_secrets",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False, comment="hexadecimal"),
)
"""The key under which the audit log names subjects."""

audit = sa.Table(
    "api_audit",
    METADATA,
    sa.Column(
        "number",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sa.Column("time_s", sa.Float, nullable=False, index=True),
    sa.Column("token_id", sa.Text, nullable=False, comment="who; empty for a stranger"),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("method", sa.Text, nullable=False),
    sa.Column("route", sa.Text, nullable=False, comment="path with parameters unfilled"),
    sa.Column("entity", sa.Text, nullable=False, comment="message type, where the call is about one"),
    sa.Column("about", sa.Text, nullable=False, comment="pseudonym of the subject, or empty"),
    sa.Column("status", sa.Integer, nullable=False, comment="HTTP status of the answer"),
    sa.Column("duration_ms", sa.Float, nullable=False),
    sqlite_autoincrement=True,
)

KEPT_DAYS = 90
"""How long the audit log is kept at least (SPEC 7.2); only what is older can be deleted."""

_NO_UPDATE = """
CREATE TRIGGER IF NOT EXISTS api_audit_is_final BEFORE UPDATE ON api_audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END
"""
_NO_DELETE = f"""
CREATE TRIGGER IF NOT EXISTS api_audit_stays BEFORE DELETE ON api_audit
WHEN OLD.time_s > CAST(strftime('%s', 'now') AS INTEGER) - {KEPT_DAYS * 86_400}
BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END
"""
_POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION api_audit_is_final() RETURNS trigger AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.time_s <= extract(epoch FROM now()) - {KEPT_DAYS * 86_400} THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the audit log is append only';
END $$ LANGUAGE plpgsql;
CREATE OR REPLACE TRIGGER api_audit_is_final BEFORE UPDATE OR DELETE ON api_audit
FOR EACH ROW EXECUTE FUNCTION api_audit_is_final();
"""

for _dialect, _statement in (("sqlite", _NO_UPDATE), ("sqlite", _NO_DELETE), ("postgresql", _POSTGRESQL)):
    _guard = sa.DDL(_statement.replace("%", "%%"))  # type: ignore[no-untyped-call]
    sa.event.listen(audit, "after_create", _guard.execute_if(dialect=_dialect))
