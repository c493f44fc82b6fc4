"""Configurations of servers: closed to strangers, open to agents."""

import yaml

from launch.server_config import ServerSettings, ejabberd_config, prosody_config

SETTINGS = ServerSettings(
    domain="street.example", certificate="/c.pem", key="/k.pem", components=("homes.street.example",)
)


def test_prosody_registers_nobody_speaks_to_no_other_server_and_asks_for_tls():
    text = prosody_config(SETTINGS)
    for line in (
        "allow_registration = false",
        'modules_disabled = { "s2s", "register", "register_ibr" }',
        "c2s_require_encryption = true",
        "s2s_ports = { }",
        'VirtualHost "street.example"',
        'Component "homes.street.example"',
        'disable_sasl_mechanisms = { "PLAIN", "LOGIN", "DIGEST-MD5" }',
    ):
        assert line in text, line


def test_no_secret_stands_in_a_configuration():
    assert 'component_secret = FileContents("homes.street.example.secret")' in prosody_config(SETTINGS)
    service = yaml.safe_load(ejabberd_config(SETTINGS))["listen"][1]
    assert service["hosts"]["homes.street.example"]["password"] == "@HOMES_STREET_EXAMPLE_SECRET@"


def test_ejabberd_takes_agents_of_its_domain_over_tls_and_nobody_else():
    config = yaml.safe_load(ejabberd_config(SETTINGS))
    clients = config["listen"][0]
    assert (clients["starttls_required"], clients["access"]) == (True, "agents")
    assert config["acl"] == {"agents": {"server": "street.example"}}
    assert config["s2s_access"] == "none"
    assert "mod_register" not in config["modules"]
