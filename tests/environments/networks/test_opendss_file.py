"""Networks from OpenDSS files: what comes out solves as OpenDSS solves the file; what cannot be is named."""

from pathlib import Path

import numpy as np
import pytest

from behaviours.decisions.grid import PowerFlow
from benchmarks import opendss_reference
from environments.networks import NetworkCase, built_in, load_cases, load_series, read_opendss
from ontology.errors import InvalidInput

pytestmark = pytest.mark.skipif(
    not opendss_reference.AVAILABLE, reason="OpenDSS is not installed: pip install parity-mas[opendss]"
)

VILLAGE = """
clear
set defaultbasefrequency=50
new circuit.village bus1=mv basekv=20 pu=1.01 mvasc3=200 mvasc1=200 x1r1=10 x0r0=10
new transformer.t windings=2 buses=(mv busbar) conns=(delta wye) kvs=(20 0.4) kvas=(250 250)
~ xhl=4 %rs=(0.6 0.6)
new linecode.cable nphases=3 r1=0.206 x1=0.08 r0=0.824 x0=0.32 c1=0 c0=0 units=km
new line.street bus1=busbar bus2=joint linecode=cable length=120 units=m normamps=270
new line.service bus1=joint.2 bus2=house.2 phases=1 r1=0.0096 x1=0.0012 r0=0.0096 x0=0.0012 c1=0 c0=0 length=1
new loadshape.evening npts=3 interval=1 mult=(0.2 1.0 0.5)
new load.house bus1=house.2 phases=1 kv=0.23 kw=4 kvar=1 model=1 vminpu=0.7 vmaxpu=1.3 daily=evening
new load.shop bus1=joint phases=3 kv=0.4 kw=9 kvar=3 model=1 vminpu=0.7 vmaxpu=1.3
new monitor.m element=line.street terminal=1
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "village.dss"
    path.write_text(text + "\nset voltagebases=[20 0.4]\ncalcvoltagebases\n", encoding="utf-8")
    return path


def solved_by_opendss(path: Path) -> dict[str, float]:
    from opendssdirect import dss

    dss.Text.Command(f'compile "{path}"')
    dss.Text.Command("set tolerance=1e-9 maxiterations=200")
    dss.Text.Command("solve")
    return dict(zip(dss.Circuit.AllNodeNames(), dss.Circuit.AllBusVMag(), strict=True))


def lowest_voltage_pu(case: NetworkCase) -> float:
    (flow,) = PowerFlow([case.network]).solve(case.power_w[None], case.reactive_var[None])
    return float(flow.voltage_min_pu[0])


def test_a_village_solves_as_opendss_solves_it(tmp_path: Path) -> None:
    path = written(tmp_path, VILLAGE)
    (case,) = read_opendss(path)
    (flow,) = PowerFlow([case.network]).solve(case.power_w[None], case.reactive_var[None])
    reference = solved_by_opendss(path)
    node = case.network.site_node[case.network.sites.index("house")]
    base_v = case.network.low_voltage_v / np.sqrt(3)
    assert abs(flow.voltage_pu[0, node, 1] * base_v - reference["house.2"]) < 0.005
    assert case.network.line_rated_a.tolist() == [270, 400]


FORWARDS = "buses=(mv busbar) conns=(delta wye) kvs=(20 0.4)"
BACKWARDS = "buses=(busbar mv) conns=(wye delta) kvs=(0.4 20)"


@pytest.mark.parametrize("windings", [FORWARDS, BACKWARDS])
@pytest.mark.parametrize("vector", ["lag", "lead"])
def test_angles_are_those_of_opendss_whichever_side_is_named_first(
    tmp_path: Path, windings: str, vector: str
) -> None:
    path = written(tmp_path, VILLAGE.replace(FORWARDS, f"{windings} leadlag={vector}"))
    (case,) = read_opendss(path)
    (flow,) = PowerFlow([case.network]).solve(case.power_w[None], case.reactive_var[None])
    solved_by_opendss(path)
    from opendssdirect import dss

    dss.Circuit.SetActiveBus("busbar")
    assert np.degrees(flow.voltage_angle[0, 1]) == pytest.approx(dss.Bus.VMagAngle()[1::2], abs=0.01)


def test_the_european_feeder_comes_back_through_a_file(tmp_path: Path) -> None:
    (case,) = load_cases("ieee-european-lv")
    path = tmp_path / "feeder.dss"
    path.write_text("\n".join(opendss_reference._commands(case)), encoding="utf-8")
    (back,) = load_cases(str(path))
    assert len(back.network.nodes) == 907
    assert back.power_w.sum() == pytest.approx(case.power_w.sum())
    lowest_pu = [lowest_voltage_pu(each) for each in (case, back)]
    assert lowest_pu[0] == pytest.approx(lowest_pu[1], abs=1e-6)


def test_loads_follow_their_shapes(tmp_path: Path) -> None:
    path = written(tmp_path, VILLAGE)
    powers = [load_cases(f"{path}@{step}")[0].power_w.sum(axis=1).tolist() for step in (1, 2, 3)]
    assert powers == [pytest.approx([800, 9000]), pytest.approx([4000, 9000]), pytest.approx([2000, 9000])]


def test_the_loads_over_time_are_those_of_each_step(tmp_path: Path) -> None:
    path = written(tmp_path, VILLAGE)
    series = load_series(str(path))
    assert series.times_s.tolist() == [3600, 7200, 10800]
    for step in (1, 2, 3):
        (case,) = load_cases(f"{path}@{step}")
        assert series.power_w[step - 1] == pytest.approx(case.power_w.sum(axis=1))
        assert series.reactive_var[step - 1] == pytest.approx(case.reactive_var.sum(axis=1))


def test_shapes_of_reactive_power_of_real_powers_and_the_circuits_multiplier_count(tmp_path: Path) -> None:
    shapes = """
new loadshape.both npts=2 interval=1 mult=(0.5 1) qmult=(0.25 0)
new loadshape.measured npts=2 interval=1 mult=(3 6) useactual=yes
set loadmult=0.5
"""
    text = VILLAGE.replace("daily=evening", "daily=both").replace("new load.house", f"{shapes}new load.house")
    path = written(tmp_path, text.replace("kw=9 kvar=3", "kw=9 kvar=3 daily=measured"))
    (case,) = load_cases(f"{path}@1")
    found_va = (case.power_w + 1j * case.reactive_var).sum(axis=1)
    assert found_va == pytest.approx([1_000 + 125j, 3_000])  # a shape of real kW alone has no kvar
    from opendssdirect import dss

    dss.Text.Command("set mode=daily stepsize=1h number=1 tolerance=1e-9")
    dss.Text.Command("solve")
    for name, load_va in zip(case.network.sites, found_va, strict=True):
        dss.Circuit.SetActiveElement(f"load.{name}")
        kw, kvar = (sum(dss.CktElement.Powers()[first::2]) for first in (0, 1))
        assert 1000 * complex(kw, kvar) == pytest.approx(load_va, abs=0.1)


@pytest.mark.parametrize("status", ["variable", "fixed", "exempt"])
def test_fixed_and_exempt_loads_are_what_opendss_makes_of_them(tmp_path: Path, status: str) -> None:
    changed = VILLAGE.replace("daily=evening", f"daily=evening status={status}")
    changed = changed.replace("kw=9", "daily=evening kw=9")
    path = written(tmp_path, changed.replace("new monitor", "set loadmult=0.5\nnew monitor"))
    (case,) = load_cases(f"{path}@3")
    from opendssdirect import dss

    dss.Text.Command("set mode=daily stepsize=1h number=3")
    dss.Text.Command("solve")
    dss.Circuit.SetActiveElement("load.house")
    house_w = case.power_w[case.network.sites.index("house")].sum()
    assert house_w == pytest.approx(1000 * sum(dss.CktElement.Powers()[0::2]), abs=1)


def test_shapes_of_different_steps_are_no_series(tmp_path: Path) -> None:
    other = "new loadshape.other npts=2 interval=0.5 mult=(1 1)\nnew load.shop"
    text = VILLAGE.replace("new load.shop", other).replace("kw=9", "daily=other kw=9")
    with pytest.raises(InvalidInput, match="3 steps of 3600 s, as the first has"):
        load_series(str(written(tmp_path, text)))


def test_the_dstatcom_stands_at_the_farthest_node(tmp_path: Path) -> None:
    (case,) = read_opendss(written(tmp_path, VILLAGE))
    assert case.network.nodes[case.network.compensator_nodes[0]] == "house"


def test_all_that_cannot_be_is_named_at_once(tmp_path: Path) -> None:
    more = """
new capacitor.c bus1=joint kv=0.4 kvar=10
new load.delta bus1=joint phases=3 conn=delta kv=0.4 kw=1 model=2
"""
    with pytest.raises(InvalidInput) as caught:
        read_opendss(written(tmp_path, VILLAGE + more))
    paths = [each.path for each in caught.value.problems]
    assert [path.lower() for path in paths] == ["capacitor.c", "load.delta.conn", "load.delta.model"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("kvs=(20 0.4)", "kvs=(20 10)"), "one with a side"),
        (("conns=(delta wye)", "conns=(wye wye)"), "delta at the high"),
        (("bus2=joint linecode", "bus2=elsewhere linecode"), "a bus that a transformer feeds"),
        (("new monitor.m element=line.street terminal=1", "new line.loop bus1=busbar bus2=joint"), "loop"),
        (("buses=(mv busbar)", "buses=(other busbar)"), "the bus of the source"),
        (("bus2=joint linecode", "bus2=joint.2.3.1 linecode"), "the phases of bus1"),
        (("new load.house bus1=house.2", "new load.house bus1=house.1"), "phases that lines bring there: 2"),
        (("bus1=joint phases=3 kv=0.4", "bus1=joint.1.2 phases=1 kv=0.4"), "one phase and the neutral"),
        (("clear\n", "clear\nnonsense everywhere\n"), "can compile"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        read_opendss(written(tmp_path, VILLAGE.replace(*change)))


@pytest.mark.parametrize("step", ["0", "4", "noon"])
def test_a_step_must_be_one_of_the_shape(tmp_path: Path, step: str) -> None:
    with pytest.raises(InvalidInput, match="step"):
        load_cases(f"{written(tmp_path, VILLAGE)}@{step}")


def test_without_shapes_there_is_no_step(tmp_path: Path) -> None:
    path = written(tmp_path, VILLAGE.replace("daily=evening", ""))
    with pytest.raises(InvalidInput, match="loads with shapes"):
        load_cases(f"{path}@1")
    with pytest.raises(InvalidInput, match="loads with shapes"):
        load_series(str(path))


def test_an_open_line_carries_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a bus that a transformer feeds"):
        read_opendss(written(tmp_path, VILLAGE + "open line.service 1\n"))


def as_published(folder: Path) -> Path:
    """Write the European feeder as its authors laid it out: in files of codes, lines, shapes and loads."""
    (feeder,) = built_in._facts("ieee-european-lv").feeders
    lines, sites = feeder.lines, feeder.sites
    bus = ["SourceBus", *range(1, len(feeder.nodes))]
    codes = [
        f"New LineCode.{name} nphases=3 R1={r1} X1={x1} R0={r0} X0={x0} C1=0 C0=0 Units=km"
        for name, (r1, x1, r0, x0, _) in feeder.line_codes.items()
    ]
    rows = zip(lines.start, lines.end, lines.length_m, lines.code, strict=True)
    cables = [
        f"New Line.LINE{i} Bus1={bus[start]} Bus2={bus[end]} phases=3 Linecode={code} Length={metres} Units=m"
        for i, (start, end, metres, code) in enumerate(rows)
    ]
    shapes, loads = [], []
    for i, (node, phase, factor) in enumerate(zip(sites.node, sites.phase, sites.power_factor, strict=True)):
        kw = [feeder.snapshots[minute][i] / 1000 for minute in ("1", "566", "1440")]
        (folder / f"profile_{i}.csv").write_text("\n".join(map(str, kw)), encoding="utf-8")
        shapes.append(f"New Loadshape.Shape_{i} npts=3 minterval=1 csvfile=profile_{i}.csv useactual=no")
        loads.append(
            f"New Load.LOAD{i} Phases=1 Bus1={bus[node]}.{phase + 1} kV=0.23 kW=1 PF={factor}"
            f" Daily=Shape_{i} vminpu=0.7 vmaxpu=1.3"
        )
    for name, content in (("LineCode", codes), ("Lines", cables), ("LoadShapes", shapes), ("Loads", loads)):
        (folder / f"{name}.dss").write_text("\n".join(content), encoding="utf-8")
    master = """
Clear
Set DefaultBaseFrequency=50
New Circuit.LVTest
Edit Vsource.Source BasekV=11 pu=1.05 ISC3=3000 ISC1=5
Redirect LineCode.dss
Redirect LoadShapes.dss
New Transformer.TR1 Buses=[SourceBus 1] Conns=[Delta Wye] kVs=[11 0.416] kVAs=[800 800] XHL=4 sub=y
Redirect Lines.dss
Redirect Loads.dss
New monitor.TR1 element=Line.LINE1
Set voltagebases=[11 .416]
Calcvoltagebases
"""
    (folder / "Master.dss").write_text(master, encoding="utf-8")
    return folder / "Master.dss"


def test_the_european_feeder_is_read_from_files_laid_out_as_published(tmp_path: Path) -> None:
    master = as_published(tmp_path)
    for step, minute in ((1, "1"), (2, "566"), (3, "1440")):
        (case,), (own,) = load_cases(f"{master}@{step}"), load_cases(f"ieee-european-lv@{minute}")
        assert case.power_w == pytest.approx(own.power_w)
        assert case.reactive_var == pytest.approx(own.reactive_var, abs=0.01)
        found_v, own_v = (voltages_at_sites_v(each) for each in (case, own))
        assert np.abs(found_v - own_v).max() < 0.005


def voltages_at_sites_v(case: NetworkCase) -> np.ndarray:
    (flow,) = PowerFlow([case.network]).solve(case.power_w[None], case.reactive_var[None])
    return flow.voltage_pu[0, case.network.site_node] * case.network.low_voltage_v / np.sqrt(3)
