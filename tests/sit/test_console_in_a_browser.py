"""The console in a real browser over a live community: every role opens every page and does its work there.

Pages are found by walking the navigation, so that a new page is visited without a word here.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from console_browser import SIGNED_IN, Served, Visitor, required, running_chromium, served_laboratory

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.sit_applications]

FIRST_PAGE_BYTES = 150_000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    required()
    with served_laboratory(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    required()
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def signed_in(served: Served, chromium: Any) -> Iterator[Any]:
    visitors = []

    def sign_in(role: str, **how: Any) -> Visitor:
        visitors.append(Visitor(chromium, served.url, **how).sign_in(served.tokens[role]))
        return visitors[-1]

    yield sign_in
    for visitor in visitors:
        visitor.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("role", SIGNED_IN)
def test_every_page_is_whole_accessible_and_stays_on_the_machine(signed_in, role, scheme) -> None:
    visitor = signed_in(role, color_scheme=scheme)
    unreadable = []
    visited = set()
    waiting = ["/console/", *visitor.navigation()]
    while waiting:
        path = waiting.pop(0)
        visitor.open(path)
        visited.add(path)
        if not path.endswith("/report"):
            unreadable += visitor.accessibility_faults()
        if len(visited) < 40 and path.count("/") < 4:
            waiting += [each for each in visitor.links() if each not in visited and each not in waiting]
    assert visitor.faults == []
    assert unreadable == []
    assert {"/console/agents", "/console/letters", "/console/markets"} <= visited


def test_the_sign_in_page_is_accessible_and_turns_a_wrong_token_away(served, chromium) -> None:
    visitor = Visitor(chromium, served.url)
    page = visitor.open("/console/sign-in")
    assert visitor.accessibility_faults() == []
    page.fill("input[name=token]", "pm_wrong")
    page.click("button:has-text('Sign in')")
    page.wait_for_selector(".fault")
    assert not page.query_selector("nav")
    visitor.close()


def test_the_market_operator_stops_an_agent_and_starts_it_again(signed_in) -> None:
    visitor = signed_in("market-operator")
    page = visitor.open("/console/agents")
    page.click("text=h002-pv")
    page.fill("input[name=confirmation]", "something else")
    page.click("button:has-text('Stop it')")
    page.wait_for_selector("#faults >> text=type h002-pv to confirm")
    page.fill("input[name=confirmation]", "h002-pv")
    page.click("button:has-text('Stop it')")
    page.wait_for_selector("#state-h002-pv >> text=stopped")
    page.click("button:has-text('Start it')")
    page.wait_for_selector("#state-h002-pv >> text=running")


def test_letters_come_by_themselves_and_hold_still_under_the_pointer(signed_in) -> None:
    visitor = signed_in("aggregator")
    page = visitor.open("/console/letters?agent=aggregator")

    def newest() -> int:
        return int(page.get_attribute("#letters [data-number] >> nth=0", "data-number"))

    before = newest()
    visitor.until(lambda: newest() > before)
    page.hover("#letters tr:nth-child(3)")
    held = newest()
    page.wait_for_selector("text=Held, new letters wait")
    assert newest() == held
    page.mouse.move(2, 2)
    visitor.until(lambda: newest() > held)
    assert visitor.faults == []


def test_a_conversation_is_drawn_and_its_letters_are_read(signed_in) -> None:
    visitor = signed_in("dso")
    page = visitor.open("/console/letters?act=query-ref")
    page.click("#letters tr:first-child td:last-child a")
    page.wait_for_selector("svg.sequence .arrow >> nth=0", state="attached")
    page.click("table.letters tbody tr:first-child td:first-child a")
    page.wait_for_selector("pre.body")
    page.click("text=As XML")
    assert "<message" in page.inner_text("#xml")
    assert visitor.faults == []


def test_the_market_operator_opens_a_clearing(signed_in) -> None:
    visitor = signed_in("market-operator")
    page = visitor.open("/console/markets")
    page.wait_for_selector(".chart canvas")
    page.click("main td a >> nth=0")
    page.wait_for_selector("text=Players")
    assert visitor.faults == []


def test_a_prosumer_sees_its_own_site_and_no_other(signed_in) -> None:
    visitor = signed_in("prosumer")
    page = visitor.open("/console/sites")
    page.click("main a:has-text('h001')")
    page.wait_for_selector(".chart canvas")
    assert visitor.faults == []
    visitor.open("/console/sites/h002")
    assert any("answered 404" in fault for fault in visitor.faults)


def test_the_aggregator_starts_a_simulation_and_compares_two_seeds(signed_in) -> None:
    visitor = signed_in("aggregator")
    page = visitor.open("/console/scenarios")
    for seed in ("3", "4"):
        page.select_option("select[name=scenario]", "laboratory")
        page.fill("input[name=seed]", seed)
        page.fill("input[name=intervals]", "2")
        page.click("button:has-text('Start')")
        page.wait_for_selector(f"#started td:text-is('{seed}')")
    visitor.until(lambda: page.locator("#started progress").count() == 2, 90_000)
    page.wait_for_selector("#started:not([hx-get])", timeout=90_000)
    visitor.open("/console/scenarios")
    for name in ("laboratory-001", "laboratory-002"):
        page.check(f"input[value={name}]")
    page.click("text=Compare what is ticked")
    page.wait_for_selector("h1:has-text('Runs compared')")
    assert "Traded locally" in page.inner_text("main")
    visitor.open("/console/runs/laboratory-001/report")
    assert "laboratory" in page.inner_text("body")
    assert visitor.faults == []


def test_a_first_page_is_light(served, chromium) -> None:
    visitor = Visitor(chromium, served.url)
    carried = []
    visitor.page.on("requestfinished", lambda request: carried.append(request.sizes()["responseBodySize"]))
    visitor.sign_in(served.tokens["market-operator"])
    visitor.open("/console/letters")
    visitor.page.wait_for_selector("#letters tr")
    assert sum(carried) <= FIRST_PAGE_BYTES
    visitor.close()
