"""Where samples and receipts are at the broker, and who may use which topic.

```
PREFIX/SITE/samples    from the site's gateway: a SampleBatch in JSON
PREFIX/SITE/receipts   to the gateway: a SampleReceipt, once all of it is on disk
PREFIX/SITE/problems   to the gateway: what was wrong with what could not be read
```
A gateway's account is named as its site.
"""

from typing import NamedTuple

__all__ = ["PREFIX", "SampleTopics", "access_rules"]

PREFIX = "parity/iml"
_SAMPLES, _RECEIPTS, _PROBLEMS = "samples", "receipts", "problems"


class SampleTopics(NamedTuple):
    """The topics below a prefix."""

    prefix: str = PREFIX

    def samples(self, site: str = "+") -> str:
        """Return where a site's samples are, or the filter of all."""
        return f"{self.prefix}/{site}/{_SAMPLES}"

    def receipts(self, site: str) -> str:
        """Return where a site's receipts are."""
        return f"{self.prefix}/{site}/{_RECEIPTS}"

    def problems(self, site: str) -> str:
        """Return where a site is told what could not be read."""
        return f"{self.prefix}/{site}/{_PROBLEMS}"

    def site_of(self, topic: str) -> str:
        """Return the site that a topic belongs to."""
        return topic.removeprefix(f"{self.prefix}/").partition("/")[0]


def access_rules(prefix: str = PREFIX, layer: str = "iml") -> str:
    """Return Mosquitto's `acl_file`: each gateway has its own topics, the layer reads and answers all."""
    topics = SampleTopics(prefix)
    return "\n".join(
        [
            f"user {layer}",
            f"topic read {topics.samples()}",
            f"topic write {topics.receipts('+')}",
            f"topic write {topics.problems('+')}",
            "",
            f"pattern write {topics.samples('%u')}",
            f"pattern read {topics.receipts('%u')}",
            f"pattern read {topics.problems('%u')}",
            "",
        ]
    )
