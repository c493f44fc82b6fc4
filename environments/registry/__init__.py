"""Who the members are: users, their sites, consents and pseudonyms, apart from everything else.

Nothing outside knows more of a person than a pseudonym; the way from one to the other is a key, in a file
of its own, and erasing a person destroys it.
"""

from environments.registry.catalogue_entries import CATALOGUES
from environments.registry.keys import KeyStore
from environments.registry.registry import Registry

__all__ = ["CATALOGUES", "KeyStore", "Registry"]
