"""Samples by REST: stored for who may, refused for others, and all that is wrong named at once."""

import asyncio
import json

import httpx
import pytest
from iml_samples import START_S, Layer
from litestar import Litestar, Request, Response

from environments.iml.rest import sample_route
from ontology.errors import ParityError, consequence_of


def answer_error(request: Request, error: ParityError) -> Response:
    problems = [{"field": each.path} for each in getattr(error, "problems", ())]
    return Response({"status": "failed", "errors": problems}, status_code=consequence_of(error).http_status)


@pytest.fixture
def layer(tmp_path):
    return Layer(tmp_path, time_s=START_S + 100)


@pytest.fixture
def app(layer):
    route = sample_route(layer.pipeline, site_of=lambda request: request.headers.get("x-site", ""))
    return Litestar([route], exception_handlers={ParityError: answer_error})


def batch(*samples):
    return json.dumps({"batch_id": "b", "samples": samples})


GOOD = {"sensor_id": "meter", "time_s": START_S, "value": 5.0}


def post(app, *bodies, site="h001", caller="h001"):
    """Post bodies one after the other; return the answers, or the only one."""

    async def story():
        wire = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=wire, base_url="http://layer") as client:
            headers = {"x-site": caller}
            return [await client.post(f"/iml/{site}/samples", content=b, headers=headers) for b in bodies]

    answers = asyncio.run(story())
    return answers if len(answers) > 1 else answers[0]


def test_samples_are_stored_once(app, layer):
    first, again = post(app, batch(GOOD), batch(GOOD))
    assert first.status_code == again.status_code == 201
    assert first.json()["data"]["stored"] == again.json()["data"]["duplicates"] == 1
    assert layer.store.count() == 1


@pytest.mark.parametrize(("site", "caller"), [("h001", ""), ("h002", "h001"), ("h001", "h002")])
def test_others_samples_are_refused(app, layer, site, caller):
    assert post(app, batch(GOOD), site=site, caller=caller).status_code == 403
    assert layer.store.count() == 0


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ("no JSON", ["body"]),
        ("[]", [""]),
        ("{}", ["batch_id", "samples"]),
        (batch(), ["samples"]),
        (
            batch({"sensor_id": "", "time_s": -1, "value": "much"}, GOOD, {"colour": 1}),
            [
                "samples[0].sensor_id",
                "samples[0].time_s",
                "samples[0].value",
                "samples[2].sensor_id",
                "samples[2].time_s",
                "samples[2].value",
                "samples[2].colour",
            ],
        ),
    ],
    ids=["noise", "list", "empty", "none", "all-wrong"],
)
def test_everything_that_is_wrong_is_named_and_nothing_is_stored(app, layer, body, fields):
    answer = post(app, body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == fields
    assert layer.store.count() == 0
