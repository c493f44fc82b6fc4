-- Prosody 0.12 for the community {{ s.domain }}, written by `parity-mas server config`.
{% if s.runs_as_root %}
run_as_root = true
{% endif %}
daemonize = false
pidfile = "{{ s.pidfile }}"
log = { { levels = { min = "info" }, to = "file", filename = "{{ s.log }}" } }
data_path = "{{ s.data }}"
interfaces = { {% for each in s.interfaces %}"{{ each }}"{{ ", " if not loop.last }}{% endfor %} }

-- Only what agents use. Nobody registers himself, no other server is spoken to, no letter is archived.
modules_enabled = { "disco", "roster", "saslauth", "tls", "ping", "time", "offline", "limits", "smacks" }
modules_disabled = { "s2s", "register", "register_ibr" }
allow_registration = false
c2s_ports = { {{ s.port }} }
c2s_direct_tls_ports = { }
s2s_ports = { }
http_ports = { }
https_ports = { }

-- One account an agent, SCRAM only. `parity-mas community` writes accounts into data_path.
authentication = "internal_hashed"
password_hash = "SHA-256"
disable_sasl_mechanisms = { "PLAIN", "LOGIN", "DIGEST-MD5" }
default_storage = "internal"
c2s_require_encryption = true
ssl = {
    certificate = "{{ s.certificate }}",
    key = "{{ s.key }}",
    protocol = "tlsv1_2+",
}

-- Agents with forecasts to share need more than the 10 kB/s that clients have by default; a host that went
-- mad is still held back. Streams are kept for ten minutes, so that a site may change its address (XEP-0198).
limits = { c2s = { rate = "512kb/s", burst = "4s" } }
c2s_stanza_size_limit = 1024 * 128
smacks_hibernation_time = 600
smacks_max_queue_size = 2000

-- Letters make much short-lived garbage. Nagle's algorithm would hold each answer up for 40 ms.
-- No opportunistic_writes: with smacks, Prosody 0.12.3 then spins for ever once a connection breaks.
gc = { mode = "generational" }
network_settings = { nagle = false, read_size = 65536, min_wait = 0.0001 }
{% if s.components %}
component_ports = { 5347 }
component_interfaces = { "127.0.0.1" }
component_stanza_size_limit = 1024 * 512
{% endif %}

VirtualHost "{{ s.domain }}"
{% for each in s.components %}

Component "{{ each }}"
    component_secret = FileContents("{{ each }}.secret")
{% endfor %}
