"""The REST interface: the repository, the community's agents and who may do what, over HTTP."""

from environments.http.application import Api, application
from environments.http.services import Services

__all__ = ["Api", "Services", "application"]
