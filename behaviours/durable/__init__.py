"""Letters that must arrive: written down before they leave, and kept until the peer has written them down.

```
outbox.Outbox              what an agent has said and nobody has confirmed yet
inbox.Inbox                what it has read: marks that outlive it, and receipts that are due
keeping_post.KeepingPost   the post that uses both
safe_keeping.SafeKeeping   the transactions in which state, marks and letters are written together
```

docs/delivery.md says what that guarantees.
"""
