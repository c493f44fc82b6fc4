"""Who is at a site that is a host of its own: the same agents as in a simulation, set up by its site file."""

from collections.abc import Iterator, Sequence

from agents.blockchain_agent import ProsumerBlockchainAgent
from agents.gateway import Gateway
from agents.oracle import ProsumerOracle
from agents.prosumer import Prosumer
from behaviours.decisions.pseudonyms import GivenPseudonyms
from behaviours.decisions.site_planners import PlanSolver
from behaviours.information.delivery import OracleSettings
from behaviours.market.blockchain_settings import BlockchainSettings
from behaviours.market.payments import PayerSettings
from behaviours.ports import Device
from behaviours.site.contacts import SiteContacts
from behaviours.site.metering import GatewaySettings
from behaviours.site.prosumer_settings import ProsumerSettings
from behaviours.vpp.initiation import FLEXIBILITY
from environments.site.enrolled import SiteTerms
from launch.parts import Part
from launch.site.models import array_of, battery_model, building_model, car_model, least_w, tank_model
from launch.site.schema import SiteFile
from ontology.base import TICKS_PER_CURRENCY

__all__ = ["agent_names", "cast_site"]

W_PER_KW = 1000
HOURS_A_YEAR = 8760


def agent_names(site: SiteFile) -> tuple[str, ...]:
    """Return the agents of a site, managers only for devices that are there."""
    managers = {
        "pv": site.pv,
        "bess": site.battery,
        "ev": site.ev,
        "p2h": site.heat_pump or site.hot_water,
    }
    always = ("prosumer", "oracle", "blockchain", "gateway")
    return always + tuple(name for name, device in managers.items() if device is not None)


def cast_site(site: SiteFile, terms: SiteTerms, devices: Sequence[Device]) -> Iterator[Part]:
    """Cast the agents of a site: prosumer, oracle, blockchain agent, gateway, a manager for each asset.

    Args:
        site: what the installer wrote.
        terms: what the community agreed with it.
        devices: its devices, connected or not.
    """
    contacts = _contacts(site, terms)
    limit_w = round(site.connection_kw * W_PER_KW)
    yield Part(
        Gateway,
        contacts.gateway,
        GatewaySettings(
            site=site.site,
            contacts=contacts,
            import_max_w=limit_w,
            export_max_w=limit_w,
            real_time_s=site.sample_s,
            directory=terms.contacts["market"],
        ),
        site.site,
        {"devices": tuple(devices)},
    )
    yield from _managers(site, terms, contacts, limit_w)
    yield Part(Prosumer, contacts.prosumer, _prosumer(site, terms, contacts, limit_w), site.site)
    names = GivenPseudonyms(dict.fromkeys(terms.names, b""), identity=site.site, names=terms.names)
    oracle = OracleSettings(
        subject=site.site,
        contacts=contacts,
        pseudonym_keys=names,
        subject_key=bytes.fromhex(terms.subject_key),
    )
    yield Part(ProsumerOracle, contacts.oracle, oracle, site.site)
    speaks = BlockchainSettings(
        contacts=contacts,
        segment_id=terms.segment_id,
        players=terms.names,
        attestors=terms.attestors,
        has_register=False,
    )
    yield Part(ProsumerBlockchainAgent, contacts.blockchain, speaks, site.site)


def _prosumer(site: SiteFile, terms: SiteTerms, contacts: SiteContacts, limit_w: int) -> ProsumerSettings:
    mean_w = site.annual_kwh * W_PER_KW / HOURS_A_YEAR
    flexible = (site.battery, site.ev, site.heat_pump, site.hot_water)
    return ProsumerSettings(
        site=site.site,
        segment_id=terms.segment_id,
        contacts=contacts,
        import_max_w=limit_w,
        export_max_w=limit_w,
        usual_load_w=tuple(round(share * mean_w) for share in terms.usual_shares[site.profile]),
        planning_intervals=terms.planning_intervals,
        solver=PlanSolver(terms.solver),
        real_time_s=site.sample_s,
        directory=terms.contacts["market"],
        offers=(FLEXIBILITY,) if any(each is not None for each in flexible) else (),
        payer=PayerSettings(
            account="",
            accounts=terms.names,
            engine=contacts.market_engine,
            attestors=terms.payment_attestors,
            tokens_per_currency=terms.tokens_per_currency,
        ),
        wear_ticks_per_kwh=round((site.battery.wear if site.battery else 0.01) * TICKS_PER_CURRENCY),
    )


def _managers(site: SiteFile, terms: SiteTerms, contacts: SiteContacts, limit_w: int) -> Iterator[Part]:
    """Cast the managers of the assets that are there; what each needs is imported only then."""
    every = terms.planning_intervals
    if site.pv is not None:
        from agents.pv_manager import PvManager
        from behaviours.site.pv_management import PvSettings

        plant = PvSettings(
            site=site.site,
            contacts=contacts,
            asset_id=f"{site.site}-pv",
            array=array_of(site.pv, site.location),
            planning_intervals=every,
        )
        yield Part(PvManager, contacts.pv, plant, site.site)
    if site.battery is not None:
        from agents.battery_manager import BatteryManager
        from behaviours.site.battery_settings import BatterySettings

        battery = BatterySettings(
            site=site.site,
            contacts=contacts,
            model=battery_model(site.battery, f"{site.site}-bess"),
            real_time_s=site.sample_s,
            import_max_w=limit_w,
            planning_intervals=every,
            zone=site.zone,
        )
        yield Part(BatteryManager, contacts.bess, battery, site.site)
    if site.ev is not None:
        from agents.ev_manager import EvManager
        from behaviours.site.ev_management import EvSettings

        car = car_model(site.ev, f"{site.site}-ev")
        charging = EvSettings(
            site=site.site,
            contacts=contacts,
            asset_id=car.asset_id,
            capacity_wh=car.capacity_wh,
            power_max_w=car.charge_max_w,
            charge_efficiency=car.charge_efficiency,
            discharge_efficiency=car.discharge_efficiency,
            planning_intervals=every,
            zone=site.zone,
        )
        yield Part(EvManager, contacts.ev, charging, site.site)
    if contacts.p2h:
        yield _heat(site, terms, contacts)


def _heat(site: SiteFile, terms: SiteTerms, contacts: SiteContacts) -> Part:
    from agents.heat_manager import HeatManager
    from behaviours.site.heat_settings import HeatSettings

    heating, tank = site.heat_pump, site.hot_water
    settings = HeatSettings(
        site=site.site,
        contacts=contacts,
        building=building_model(heating, f"{site.site}-heat_pump") if heating else None,
        building_power_max_w=round(heating.power_kw * W_PER_KW) if heating else 0,
        building_power_min_w=least_w(heating) if heating else 0,
        tank=tank_model(tank, f"{site.site}-dhw") if tank else None,
        tank_power_max_w=round(tank.power_kw * W_PER_KW) if tank else 0,
        draw_w=tuple(each * tank.daily_l for each in terms.draw_w_per_l) if tank else (),
        planning_intervals=terms.planning_intervals,
        real_time_s=site.sample_s,
    )
    return Part(HeatManager, contacts.p2h, settings, site.site)


def _contacts(site: SiteFile, terms: SiteTerms) -> SiteContacts:
    names = agent_names(site)

    def own(name: str) -> str:
        return f"{site.site}-{name}@{terms.domain}" if name in names else ""

    return SiteContacts(
        gateway=own("gateway"),
        prosumer=own("prosumer"),
        oracle=own("oracle"),
        blockchain=own("blockchain"),
        pv=own("pv"),
        bess=own("bess"),
        ev=own("ev"),
        p2h=own("p2h"),
        aggregator=terms.contacts["aggregator"],
        market_engine=terms.contacts["market_engine"],
        repository=terms.contacts["repository"],
        dso=terms.contacts["dso"],
    )
