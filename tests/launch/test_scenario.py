from pathlib import Path

import jsonschema
import pytest
from launch_samples import MINIMAL, small_scenario

from launch.directory import entries
from launch.population import all_sites
from launch.scenario import (
    InvalidScenario,
    intervals_of,
    lem_parameters,
    load_scenario,
    parse_scenario,
    scenario_hash,
    scenario_schema,
)
from launch.world_settings import thresholds, world_settings
from ontology.errors import consequence_of
from ontology.grid import GridState
from ontology.market import GREEN_PARAMETERS, YELLOW_PARAMETERS, FlowRule

SCENARIOS = sorted((Path(__file__).parents[2] / "launch" / "scenarios").glob("*.yaml"))
SITE = MINIMAL + "sites:\n- id: h001\n"
BAD = {
    "missing field": ("zone: Europe/Berlin\nsites: [{id: a}]", "start", "", "is missing"),
    "missing field below": (SITE + "  pv: {}\n", "sites[0].pv.kwp", "", "is missing: a number"),
    "no sites at all": (MINIMAL, "sites", "", "list `sites`, or give a `population`"),
    "unknown key": (SITE + "  batery: {}\n", "sites[0].batery", "{}", "did you mean battery?"),
    "wrong type": (SITE + "  annual_kwh: lots\n", "sites[0].annual_kwh", "lots", "must be a number"),
    "a number is no truth": (SITE + "record: 1\n", "record", "1", "must be true or false"),
    "a truth is no number": (SITE + "seed: true\n", "seed", "True", "must be a whole number"),
    "not finite": (SITE + "  annual_kwh: .nan\n", "sites[0].annual_kwh", "nan", "must be finite"),
    "a transformer for a network that has one": (
        SITE + "grid: {network: ieee-european-lv, transformer_kva: 100}\n",
        "grid.transformer_kva",
        "100",
        "must be left out: ieee-european-lv has its own",
    ),
    "negative capacity": (
        SITE + "  battery: {capacity_kwh: -5}\n",
        "sites[0].battery.capacity_kwh",
        "-5",
        "must be positive",
    ),
    "a word that is none of the choices": (
        SITE + "settlement: hourli\n",
        "settlement",
        "hourli",
        "must be daily, hourly or interval; did you mean hourly?",
    ),
    "two sites with one id": (SITE + "- id: h001\n", "sites[1].id", "h001", "already used by sites[0]"),
    "two agents with one address": (
        SITE + "  address: a@localhost\n- {id: h002, address: A@localhost}\n",
        "sites[1].address",
        "a@localhost",
        "already used by sites[0]",
    ),
    "an address of the community": (
        SITE + "  address: dso@localhost\n",
        "sites[0].address",
        "dso@localhost",
        "already used by the dso agent",
    ),
    "an address elsewhere": (
        SITE + "  address: a@b.org\n",
        "sites[0].address",
        "a@b.org",
        "in the server's domain",
    ),
    "a site that the population has too": (
        MINIMAL + "sites: [{id: p001}]\npopulation: {sites: 3}",
        "population",
        "p001",
        "already used by sites[0]",
    ),
    "share above one": (
        MINIMAL + "population: {sites: 3, shares: {pv: 1.5}}",
        "population.shares.pv",
        "1.5",
        "must be between 0 and 1",
    ),
    "tariff out of order": (
        SITE + "tariffs: {green: {buy_usual: 0.1, sell_usual: 0.2, buy_peer: 0.1, sell_peer: 0.1, beta: 0}}",
        "tariffs.green.sell_usual",
        "0.2",
        "must be at most sell_peer (0.1)",
    ),
    "price finer than a tick": (
        SITE
        + "tariffs: {green: {buy_usual: 0.2, sell_usual: 0, buy_peer: 0.1, sell_peer: 0.1, beta: 0.00001}}",
        "tariffs.green.beta",
        "1e-05",
        "multiple of 0.0001",
    ),
    "step that does not divide": (SITE + "step_s: 7\n", "step_s", "7", "must divide 900"),
    "unknown zone": ("start: 2024-05-02\nzone: Mars\nsites: [{id: a}]", "zone", "Mars", "IANA"),
    "start that is none": ("start: tomorrow\nzone: UTC\nsites: [{id: a}]", "start", "tomorrow", "ISO 8601"),
    "start between intervals": (
        "start: 2024-05-02T10:07\nzone: UTC\nsites: [{id: a}]",
        "start",
        "2024",
        "quarter",
    ),
    "start that the clock skips": (
        "start: 2024-03-31T02:30\nzone: Europe/Berlin\nsites: [{id: a}]",
        "start",
        "2024-03-31T02:30",
        "does not exist",
    ),
    "start that the clock repeats": (
        "start: 2024-10-27T02:30\nzone: Europe/Berlin\nsites: [{id: a}]",
        "start",
        "2024-10-27T02:30",
        "is ambiguous",
    ),
    "more days than a year has": (SITE + "days: 400\n", "days", "400", "must be between 1 and 366"),
    "weather that is not there": (SITE + "weather: 16\n", "weather.reference_year", "16", "between 1 and 15"),
    "battery below its own minimum": (
        SITE + "  battery: {capacity_kwh: 5, minimum_state_of_charge: 0.5}\n",
        "sites[0].battery.minimum_state_of_charge",
        "0.5",
        "must be at most initial_state_of_charge (0.3)",
    ),
    "thresholds out of order": (
        SITE + "grid: {thresholds: {loading_yellow: 1.2}}",
        "grid.thresholds.loading_yellow",
        "1.2",
        "must be at most loading_red (1)",
    ),
    "D-STATCOM on a feeder that is not there": (
        SITE + "grid: {dstatcoms: [{segment: segment-002}]}",
        "grid.dstatcoms[0].segment",
        "segment-002",
        "must be a segment of the grid",
    ),
    "D-STATCOM at a site of nobody": (
        SITE + "grid: {dstatcoms: [{segment: segment-001, site: nobody}]}",
        "grid.dstatcoms[0].site",
        "nobody",
        "must be a site of segment-001",
    ),
    "D-STATCOM without a rating": (
        SITE + "grid: {dstatcoms: [{segment: segment-001, kva: 0}]}",
        "grid.dstatcoms[0].kva",
        "0",
        "must be between 0.1 and 10000",
    ),
    "D-STATCOM that reports between steps": (
        SITE + "step_s: 60\ngrid: {dstatcom_status_s: 90}",
        "grid.dstatcom_status_s",
        "90",
        "a multiple of step_s",
    ),
    "external server without a port": (
        SITE + "server: external\n",
        "server.port",
        "0",
        "must be given",
    ),
    "readings that are not there": (
        SITE + "  load_csv: no.csv\n",
        "sites[0].load_csv",
        "no.csv",
        "not found",
    ),
    "key that is there twice": (
        SITE + "seed: 1\nseed: 2\n",
        "seed",
        "line 6",
        "is there twice; first on line 5",
    ),
    "not YAML": ("start: [2024\nzone: UTC", "", "", "is not YAML"),
    "not a mapping": ("- a\n- b\n", "", "a list", "must be a mapping"),
    "empty": ("\n", "", "", "is empty"),
    "list that is none": (MINIMAL + "sites: 3\n", "sites", "3", "must be a list"),
    "nested without end": ("start: &a [*a]\n", "", "", "is not YAML"),
    "a Python object": (SITE + "name: !!python/object:os.system {}\n", "name", "{}", "must be a text"),
}


def problems_of(text, folder=None, **given):
    with pytest.raises(InvalidScenario) as caught:
        parse_scenario(text, environment=given.pop("environment", {}), folder=folder, **given)
    return caught.value


@pytest.mark.parametrize(("text", "path", "value", "expected"), BAD.values(), ids=BAD.keys())
def test_a_bad_scenario_is_told_where_and_what_would_be_right(text, path, value, expected):
    error = problems_of(text)
    found = [(p.path, p.value, p.expected) for p in error.problems]
    assert any(p == path and value in v and expected in e for p, v, e in found), found
    assert consequence_of(error).exit_code == 2


def test_all_problems_come_at_once_with_their_lines():
    text = SITE + "  batery: {}\n- {id: h001, pv: {kwp: -1}}\nstep_s: 7\ndays: 0\n"
    error = problems_of(text)
    assert [(p.path, place) for p, place in zip(error.problems, error.places, strict=True)] == [
        ("sites[0].batery", "line 5"),
        ("sites[1].pv.kwp", "line 6"),
        ("sites[1].id", "line 6"),
        ("step_s", "line 7"),
        ("days", "line 8"),
    ]


READINGS = {
    "gap": (
        ["2024-05-02T00:00Z,1", "2024-05-02T00:15Z,1", "2024-05-02T00:45Z,1", "2024-05-02T01:00Z,1"],
        "gap",
    ),
    "duplicate": (["2024-05-02T00:00Z,1", "2024-05-02T00:15Z,1", "2024-05-02T00:15Z,1"], "duplicated"),
    "skipped hour": (["2024-03-31T01:45,1", "2024-03-31T02:00,1", "2024-03-31T03:15,1"], "exists"),
    "repeated hour": (["2024-10-27T02:00,1", "2024-10-27T02:15,1", "2024-10-27T02:30,1"], "twice"),
    "too short": (["2024-05-02T00:00Z,1", "2024-05-02T00:15Z,1"], "within"),
    "negative": (["2024-05-02T00:00Z,-1", "2024-05-02T00:15Z,1"], "not negative"),
}


@pytest.mark.parametrize(("rows", "expected"), READINGS.values(), ids=READINGS.keys())
def test_readings_are_checked_with_the_scenario(rows, expected, tmp_path):
    (tmp_path / "load.csv").write_text("\n".join(["time,energy_wh", *rows]))
    error = problems_of(SITE + "  load_csv: load.csv\n", folder=tmp_path)
    assert {problem.path for problem in error.problems} == {"sites[0].load_csv"}
    assert any(expected in problem.expected for problem in error.problems), error.problems


def test_defaults_give_way_to_the_file_the_environment_and_then_the_flags(tmp_path):
    (tmp_path / "a.yaml").write_text(SITE + "seed: 2\n")
    seed = lambda environment, flags: load_scenario(tmp_path / "a.yaml", flags, environment).seed  # noqa: E731
    assert parse_scenario(SITE, environment={}).seed == 1
    assert seed({}, {}) == 2
    assert seed({"PARITY_SEED": "3"}, {}) == 3
    assert seed({"PARITY_SEED": "3"}, {"seed": 4}) == 4


def test_a_nested_key_can_be_set_beside_a_short_form():
    scenario = parse_scenario(
        SITE + "server: prosody\n", {"sites[0].annual_kwh": 4000}, {"PARITY_SERVER__DOMAIN": "lab.example"}
    )
    assert (scenario.server.kind, scenario.server.domain) == ("prosody", "lab.example")
    assert scenario.sites[0].annual_kwh == 4000


def test_a_wrong_variable_is_named():
    error = problems_of(SITE, environment={"PARITY_SEDE": "3"})
    assert error.places == ("PARITY_SEDE",)


def test_words_such_as_no_and_numbers_such_as_1e3_mean_what_they_look_like():
    scenario = parse_scenario(MINIMAL + "name: no\nsites: [{id: on, annual_kwh: 1e3}]", environment={})
    assert (scenario.name, scenario.sites[0].id, scenario.sites[0].annual_kwh) == ("no", "on", 1000)


@pytest.mark.parametrize(("day", "count"), [("2024-03-31", 92), ("2024-05-02", 96), ("2024-10-27", 100)])
def test_a_day_has_as_many_intervals_as_the_clock_gives_it(day, count):
    assert (
        intervals_of(parse_scenario(f"start: {day}\nzone: Europe/Berlin\nsites: [{{id: a}}]", environment={}))
        == count
    )


def test_the_hash_is_of_what_decides_the_outcome_only(tmp_path):
    (tmp_path / "load.csv").write_text("time,energy_wh\n" + "".join(f"{t},5\n" for t in quarter_hours()))
    text = SITE + "  load_csv: load.csv\n"
    plain = scenario_hash(parse_scenario(text, environment={}, folder=tmp_path))
    same = parse_scenario(text + "server: prosody\nseed: 9\n", environment={}, folder=tmp_path)
    other = parse_scenario(text + "minimum_tokens: 5\n", environment={}, folder=tmp_path)
    assert scenario_hash(same) == plain != scenario_hash(other)
    (tmp_path / "load.csv").write_text("time,energy_wh\n" + "".join(f"{t},6\n" for t in quarter_hours()))
    assert scenario_hash(parse_scenario(text, environment={}, folder=tmp_path)) != plain


def quarter_hours():
    return [f"2024-05-0{1 + i // 96}T{i % 96 // 4:02d}:{i % 4 * 15:02d}Z" for i in range(3 * 96)]


def test_default_tariffs_are_those_of_the_specification():
    scenario = small_scenario("tariffs: {flow: community}\n")
    assert lem_parameters(scenario, GridState.GREEN) == GREEN_PARAMETERS
    assert lem_parameters(scenario, GridState.YELLOW) == YELLOW_PARAMETERS
    red = lem_parameters(scenario, GridState.RED)
    assert (red.buy_peer_ticks_per_kwh, red.sell_peer_ticks_per_kwh) == (2000, 650)


def test_the_flow_charge_is_shared_among_the_players_unless_the_published_rule_is_asked_for():
    assert lem_parameters(small_scenario(), GridState.YELLOW).flow_rule is FlowRule.PER_PLAYER


def test_kilowatts_become_watts_in_the_world():
    scenario = parse_scenario(
        SITE
        + "  battery: {capacity_kwh: 5}\n  heat_pump: {heat_loss_w_per_k: 125}\ngrid: {transformer_kva: 63}",
        environment={},
    )
    world = world_settings(scenario)
    site = world.sites[0]
    assert (site.battery.capacity_wh, site.battery.power_w) == (5000, 2500)
    assert site.heat_pump.resistance_k_per_w == 0.008
    assert world.feeder.transformer_va == 63_000
    assert thresholds(scenario).low_yellow_pu == 0.95


def test_a_population_meets_its_shares_and_repeats_with_its_seed():
    text = (
        MINIMAL
        + "population: {sites: 40, shares: {pv: 0.5, battery: 0.25, ev: 0.3, heat_pump: 0, hot_water: 1}}"
    )
    one, again = (all_sites(parse_scenario(text, environment={})) for _ in range(2))
    other = all_sites(parse_scenario(text, {"seed": 2}, {}))
    owners = {
        device: sum(getattr(site, device) is not None for site in one) for device in ("pv", "battery", "ev")
    }
    assert owners == {"pv": 20, "battery": 10, "ev": 12}
    assert all(site.pv for site in one if site.battery)
    assert one == again != other
    assert not any(site.heat_pump for site in one)


def test_a_population_is_valid_in_the_world():
    from environments.simulation.world.settings import problems

    scenario = parse_scenario(MINIMAL + "population: {sites: 300}", environment={})
    assert problems(world_settings(scenario)) == []


def test_only_devices_that_are_there_have_managers():
    names = [entry.address for entry in entries(small_scenario()) if entry.site == "h002"]
    assert names == [f"h002-{role}@localhost" for role in ("prosumer", "oracle", "blockchain", "gateway")]


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_of_the_package_is_valid(path):
    assert load_scenario(path, environment={}).name == path.stem


def test_an_editor_can_check_a_scenario_by_its_json_schema():
    validator = jsonschema.Draft202012Validator(scenario_schema())
    good = {"start": "2024-05-02", "zone": "UTC", "weather": 4, "sites": [{"id": "a"}]}
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "sedes": 3})
