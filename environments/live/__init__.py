"""The live world: agents reach each other over XMPP, on a server of ours or of a pilot's.

```
xmpp.XmppTransport               the Transport port over SPADE connections, one account an agent
embedded_server.EmbeddedServer   an XMPP server for demonstrations and tests; needs nothing installed
prosody.ProsodyServer            Debian's Prosody, configured by us: what a pilot runs
```

Nothing is imported here: SPADE and the servers are heavy, and a run needs one of them at most.
"""
