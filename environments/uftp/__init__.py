"""The edge to parties outside: the flexibility trade as UFTP XML messages over HTTP (Shapeshifter 3.1)."""
