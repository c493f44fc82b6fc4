"""The side of D-STATCOMs that answers by HTTP."""

from collections.abc import Iterable

from aiohttp import web

from environments.devices.dstatcom_unit import GuardedUnit
from environments.wire.http_service import answered

__all__ = ["dstatcom_routes"]

CONFLICT, UNPROCESSABLE = 409, 422


def dstatcom_routes(units: Iterable[GuardedUnit]) -> list[web.RouteDef]:
    """Return what an `HttpService` answers for units.

    ```
    GET  /dstatcoms                     which units there are
    GET  /dstatcoms/ASSET/status        what one does
    POST /dstatcoms/ASSET/commands      what it shall do; 200 taken, 409 not now, 422 with all that is wrong
    ```
    """
    by_id = {unit.asset_id: unit for unit in units}

    def asked(request: web.Request) -> GuardedUnit:
        try:
            return by_id[request.match_info["asset"]]
        except KeyError:
            raise web.HTTPNotFound(reason="there is no such unit") from None

    async def listing(_: web.Request) -> web.Response:
        return answered({"dstatcoms": sorted(by_id)})

    async def status(request: web.Request) -> web.Response:
        return answered(await asked(request).status())

    async def command(request: web.Request) -> web.Response:
        answer = await asked(request).take(await request.read())
        refused = UNPROCESSABLE if answer.is_malformed else CONFLICT
        return answered(answer, 200 if answer.accepted else refused)

    return [
        web.get("/dstatcoms", listing),
        web.get("/dstatcoms/{asset}/status", status),
        web.post("/dstatcoms/{asset}/commands", command),
    ]
