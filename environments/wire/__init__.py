"""HTTP and MQTT to systems outside: addresses, secrets, frames, and links that come back by themselves."""
