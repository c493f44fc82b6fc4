"""The REST interface: the repository, the community's agents and who may do what, over HTTP."""

from environments.http.application import Api, application
from environments.http.client import AsyncClient, Client
from environments.http.server import ApiServer
from environments.http.services import Services

__all__ = ["Api", "ApiServer", "AsyncClient", "Client", "Services", "application"]
