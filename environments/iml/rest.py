"""Samples by REST: one route for a Litestar application, and what it does without the framework.

```python
route = sample_route(service, site_of=lambda request: caller_of(request).site, opt=allowing(…))
app = application(services, routes=(*ROUTES, Router("/api/v1", route_handlers=[route])))
```
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.handlers import HTTPRouteHandler

from behaviours.ports import SampleIntake
from environments.wire.frames import frame_of
from ontology.base import Identifier, Part
from ontology.errors import InvalidInput, Problem, Refused, problem
from ontology.samples import MOST_SAMPLES, Sample, SampleBatch, SampleReceipt

__all__ = ["PATH", "sample_route", "take_json"]

PATH = "/iml/{site:str}/samples"


class _Posted(Part, frozen=True, kw_only=True):
    """A batch as it is posted: the site is in the path."""

    batch_id: Identifier
    samples: list[dict[str, Any]]


async def take_json(intake: SampleIntake, caller_site: str, site: str, body: bytes) -> SampleReceipt:
    """Take a posted batch.

    Args:
        intake: takes it.
        caller_site: whose credentials were shown; empty is nobody's.
        site: whose samples they are said to be.
        body: JSON with `batch_id` and `samples`, each with `sensor_id`, `time_s` and `value`.

    Raises: InvalidInput naming every field that is missing or wrong, Refused for another's samples,
        Unavailable when nothing can be stored.
    """
    if not caller_site or caller_site != site:
        raise Refused("a gateway sends samples of its own site only")
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(problem("body", body[:60].decode(errors="replace"), f"JSON: {error}")) from None
    posted = frame_of(_Posted, content)
    if not 1 <= len(posted.samples) <= MOST_SAMPLES:
        raise InvalidInput(problem("samples", f"{len(posted.samples)} samples", f"1 to {MOST_SAMPLES}"))
    samples, problems = list[Sample](), list[Problem]()
    for index, each in enumerate(posted.samples):
        try:
            samples.append(frame_of(Sample, each))
        except InvalidInput as error:
            problems += [
                Problem(f"samples[{index}].{found.path}", found.value, found.expected)
                for found in error.problems
            ]
    if problems:
        raise InvalidInput(problems)
    return await intake.take(site, SampleBatch(site=site, batch_id=posted.batch_id, samples=samples))


def sample_route(
    intake: SampleIntake,
    site_of: Callable[[Request[Any, Any, Any]], str],
    opt: Mapping[str, Any] | None = None,
) -> HTTPRouteHandler:
    """Return the route that takes samples; errors are the application's to answer.

    Args:
        intake: takes the batches.
        site_of: the site whose credentials a request shows, or an empty text.
        opt: rules of the application for the route.
    """

    @post(PATH, opt=dict(opt or {}), status_code=201, summary="Store raw samples of a site's sensors")
    async def samples(request: Request[Any, Any, Any], site: str) -> Response[bytes]:
        """Store a batch, and return what of it was stored, known, and refused."""
        receipt = await take_json(intake, site_of(request), site, await request.body())
        content = {"status": "ok", "errors": [], "data": receipt}
        return Response(msgspec.json.encode(content), status_code=201, media_type="application/json")

    return samples
