"""People behind the sites: their pseudonyms are the registry's, their consent counts, nobody is named.

docs/privacy.md says what may appear where; the scans here look into everything that a run leaves.
"""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from registry_samples import ANNA, BORIS, household
from scenario_helpers import MORNING_S, laboratory
from slixmpp.xmlstream import XMLStream

from behaviours.information.directory import DirectoryFacilitator
from behaviours.market.portfolio import PortfolioKeeping
from behaviours.sealing import sealed_for
from behaviours.vpp.initiation import VppInitiation
from behaviours.vpp.membership import VppMembership
from environments.repository import SqliteRecorder
from launch.live import LiveCommunity
from launch.logs import configure_logs
from launch.offline import OfflineCommunity
from launch.results import completed
from launch.runs import run_offline
from launch.scenario import scenario_of
from launch.user_registry import create_registry, registry_in, wallet_on
from ontology.discourse import Acknowledgement
from ontology.errors import InvalidInput, ParityError, Refused
from ontology.privacy import PseudonymScope
from ontology.registration import (
    Consent,
    ConsentPurpose,
    ErasureRequest,
    IssuedPseudonym,
    Onboarding,
    PersonalDetails,
    PseudonymRequest,
)
from ontology.users import User

CARLA = PersonalDetails(name="Carla Fernández Núñez", email="carla.fernandez@example.com")
EVERYBODY = (ANNA, BORIS, CARLA)
LEM = PseudonymScope.LEM


@pytest.fixture
def folder(tmp_path) -> Path:
    """A registry with the laboratory's two households; Boris agrees to nothing."""
    registry = create_registry(tmp_path / "registry")
    for told, details in ((household("h001"), ANNA), (household("h002", consents=[]), BORIS)):
        completed(registry.register(told, MORNING_S, "operator", details))
    registry.close()
    return tmp_path / "registry"


def named(text: bytes) -> list[str]:
    """Return which names, parts of names and e-mails a text has in it."""
    told = [part for each in EVERYBODY for part in (each.email, *each.name.replace("-", " ").split())]
    spelt = {
        part: (part.encode(), json.dumps(part)[1:-1].encode(), part.encode("utf-16-le")) for part in told
    }
    return [part for part, ways in spelt.items() if any(way in text for way in ways)]


def contents_of(folder: Path) -> bytes:
    """Return everything in a run folder: tables, letters and chain as they read, all files as they are."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".parquet":
            found.append(pd.read_parquet(path).to_csv().encode())
        elif path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as connection:
                found += [line.encode() for line in connection.iterdump()]
        if path.is_file():
            found.append(path.read_bytes())
    return b"\n".join(found)


def said(run, speaker, content, answer):
    """Let an agent of an offline run ask the repository, and return the answer, or what was raised."""
    agent, heard = run.community.agents[f"{speaker}@localhost"], []

    async def ask():
        try:
            heard.append(await agent.ask("repository@localhost", content, answer))
        except ParityError as error:
            heard.append(error)

    run.loop.call_soon(lambda: agent.spawn(ask()))
    run.clock.advance_to(run.clock.now_s() + 5)
    return heard[0]


# -- nobody is named --------------------------------------------------------------------------------


@pytest.fixture
def watched(folder, tmp_path, monkeypatch, capfd):
    """What a live run left: stanzas, its folder, logs; Carla is registered and erased meanwhile."""
    stanzas: list[str] = []
    send_raw = XMLStream.send_raw

    def noted(self, data):
        stanzas.append(data if isinstance(data, str) else data.decode())
        send_raw(self, data)

    monkeypatch.setattr(XMLStream, "send_raw", noted)
    out = tmp_path / "run"
    out.mkdir()
    configure_logs(verbose=True)
    users = asyncio.run(_live(folder, out))
    configure_logs()
    logged = "".join(capfd.readouterr())
    return "\n".join(stanzas).encode(), contents_of(out), logged.encode(), users


async def _live(folder, out):
    scenario = laboratory(intervals=3, registry=str(folder), record=True)
    recorder = SqliteRecorder(out / "messages.sqlite")
    async with LiveCommunity(scenario, recorder=recorder, chain=out / "chain.sqlite") as run:
        await run.step()
        with registry_in(folder) as registry:
            box = sealed_for(registry.public_key, msgspec.json.encode(CARLA))
        operator = run.community.agents["market@localhost"]
        told = household("h003", details_sealed=box)
        asked = asyncio.ensure_future(operator.ask("repository@localhost", told, User))
        await run.step()
        user = await asked
        gone = ErasureRequest(user_id=user.user_id)
        asked = asyncio.ensure_future(operator.ask("repository@localhost", gone, Acknowledgement))
        await run.step()
        await asked
        await run.settle()
        assert run.clock.missed == 0
    recorder.close()
    return user


def test_names_and_emails_are_in_no_stanza_no_letter_no_log_and_not_on_the_ledger(watched):
    stanzas, kept, logged, user = watched
    assert b"parity:Onboarding" in stanzas
    assert b"parity:Onboarding" in kept
    assert named(stanzas) == named(kept) == named(logged) == []
    assert (user.name, user.email) == ("", "")


def test_the_scan_would_find_what_it_looks_for(folder):
    with registry_in(folder) as registry:
        told = msgspec.json.encode(registry.users())
    assert {ANNA.email, BORIS.email, "Anna", "Papadopoulos"} <= set(named(told))
    assert "Carla" in named(json.dumps(CARLA.name).encode())


def test_a_run_folder_names_nobody_and_its_ledger_and_manifest_no_site(folder, tmp_path):
    out = tmp_path / "run"
    run_offline(laboratory(intervals=3, registry=str(folder), record=True), out)
    kept = contents_of(out)
    with registry_in(folder) as registry:
        for user in registry.users():
            assert user.user_id.encode() not in kept
            assert user.wallet_id.encode() not in kept
    assert named(kept) == []
    with closing(sqlite3.connect(out / "chain.sqlite")) as chain:
        ledger = "\n".join(chain.iterdump()).encode() + (out / "chain.sqlite").read_bytes()
    assert b"h001" not in ledger
    assert b"h001".hex().encode() not in ledger.lower()
    accounts = json.loads((out / "manifest.json").read_text())["accounts"]
    assert set(accounts.values()) == {"aggregator", "grid"}
    for table in ("settlement", "payments", "market", "register"):
        assert "h001" not in pd.read_parquet(out / f"{table}.parquet").to_csv()


# -- pseudonyms and wallets -------------------------------------------------------------------------


def test_oracles_play_under_the_pseudonyms_that_the_registry_issues(folder):
    run = OfflineCommunity(laboratory(intervals=2, registry=str(folder)))
    run.step()
    with registry_in(folder) as registry:
        own = {site: registry.accounts(user) for site, _, user in registry.portfolio()}
    assert {account for account, name in run.community.cast.accounts.items() if name == "h001"} == set(
        own["h001"]
    )
    asked = PseudonymRequest(identity="h001", scope=LEM, time_s=MORNING_S)
    issued = said(run, "h001-oracle", asked, IssuedPseudonym)
    assert [issued.pseudonym] == own["h001"]
    refused = said(run, "h002-oracle", asked, IssuedPseudonym)
    assert isinstance(refused, Refused)
    elsewhere = said(
        run, "h001-oracle", msgspec.structs.replace(asked, scope=PseudonymScope.VPP), IssuedPseudonym
    )
    assert elsewhere.pseudonym != issued.pseudonym
    run.close()


def test_a_wallet_is_the_sum_of_its_entries(folder, tmp_path):
    out = tmp_path / "run"
    run_offline(laboratory(intervals=4, registry=str(folder)), out)
    with registry_in(folder) as registry:
        for _, _, user in registry.portfolio():
            held = wallet_on(registry, user, str(out))
            (account,) = held["accounts"]
            assert held["balance_tokens"] == sum(each["tokens"] for each in account["entries"])
            assert [each["kind"] for each in account["entries"]] == ["", *["LEM"] * 4]


def test_what_was_settled_stays_when_somebody_is_erased(folder, tmp_path):
    out = tmp_path / "run"
    run_offline(laboratory(intervals=3, registry=str(folder)), out)
    before = contents_of(out)
    with registry_in(folder) as registry:
        user = registry.user_of("h001")
        completed(registry.erase(user, MORNING_S, "operator"))
        assert contents_of(out) == before
        with pytest.raises(InvalidInput):
            wallet_on(registry, user, str(out))
    with pytest.raises(InvalidInput, match="h001"):
        laboratory(intervals=3, registry=str(folder))


# -- consent ----------------------------------------------------------------------------------------


def test_who_never_agreed_offers_nothing(folder):
    run = OfflineCommunity(laboratory(intervals=2, registry=str(folder)))
    run.step()
    run.step()
    portfolio = run.community.agents["aggregator@localhost"].behaviour(PortfolioKeeping)
    assert (portfolio.agrees("h001"), portfolio.agrees("h002")) == (True, False)
    known = {each.subject for each in portfolio.covering(["h001", "h002"], run.world.now_s)}
    assert known == {"h001"}
    run.close()


def test_a_prosumer_withdraws_for_its_own_site_only_and_gives_again(folder):
    run = OfflineCommunity(laboratory(intervals=3, registry=str(folder)))
    run.step()
    no = Consent(subject="h001", purpose=ConsentPurpose.FLEXIBILITY, given=False, time_s=0)
    assert isinstance(said(run, "h002-prosumer", no, Acknowledgement), Refused)
    assert isinstance(said(run, "h001-prosumer", no, Acknowledgement), Acknowledgement)
    portfolio = run.community.agents["aggregator@localhost"].behaviour(PortfolioKeeping)
    assert not portfolio.agrees("h001")
    run.step()
    assert portfolio.covering(["h001"], run.world.now_s) == []
    yes = msgspec.structs.replace(no, given=True)
    assert isinstance(said(run, "h001-prosumer", yes, Acknowledgement), Acknowledgement)
    run.step()
    assert portfolio.agrees("h001")
    with registry_in(folder) as registry:
        history = completed(registry.consents(registry.user_of("h001")))
    assert [each.given for each in history] == [True, False, True]
    run.close()


@pytest.fixture(scope="module")
def street(tmp_path_factory) -> Path:
    """A registry with sixteen households that all agree."""
    folder = tmp_path_factory.mktemp("street") / "registry"
    registry = create_registry(folder)
    for number in range(1, 17):
        details = PersonalDetails(name=f"Person {number}", email=f"person{number}@example.org")
        completed(
            registry.register(household(f"p{number:03d}", assets=[], sensors=[]), 1, "operator", details)
        )
    registry.close()
    return registry_folder(registry)


def registry_folder(registry) -> Path:
    return Path(registry._keys._folder).parent


def test_who_withdraws_leaves_a_running_plant_within_one_interval(street):
    """Said at the command line, while the plant delivers."""
    product = {"id": "night", "hour": 0.5, "hours": 1.5, "power_kw": 6, "price": 0.3, "lead_hours": 0.25}
    run = OfflineCommunity(
        scenario_of(
            {
                "start": "2024-02-13",
                "zone": "Europe/Berlin",
                "seed": 5,
                "intervals": 8,
                "population": {"sites": 16},
                "products": [product],
                "record": False,
                "registry": str(street),
            }
        )
    )
    for _ in range(3):
        run.step()
    (plant,) = run.community.agents["aggregator@localhost"].behaviour(VppInitiation).plants.values()
    promised_w = {who: sum(map(abs, each.schedule_w)) for who, each in plant.commitments.items()}
    member = max(promised_w, key=promised_w.__getitem__)  # whom the plant cannot do without
    site = member.partition("-")[0]
    with registry_in(street) as registry:
        user = registry.user_of(site)
        now_s = int(run.clock.now_s())
        completed(registry.consent(user, ConsentPurpose.FLEXIBILITY, False, now_s, "operator"))
    run.step()
    membership = run.community.agents[member].behaviour(VppMembership)
    assert membership.promises == {}
    entries = run.community.agents["market@localhost"].behaviour(DirectoryFacilitator)._entries
    assert entries[member].products == []
    portfolio = run.community.agents["aggregator@localhost"].behaviour(PortfolioKeeping)
    assert portfolio.covering([site], run.world.now_s) == []
    run.step()
    assert member in plant.lost
    assert member not in plant.commitments
    run.close()


def test_what_is_registered_comes_as_an_onboarding_and_nothing_else():
    """The class names no person: details travel sealed."""
    assert {"name", "email"}.isdisjoint(Onboarding.__struct_fields__)
