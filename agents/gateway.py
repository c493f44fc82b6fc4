"""The gateway: a site's information layer, between its devices and everybody else."""

from behaviours.agent import Agent
from behaviours.site.device_control import DeviceControl
from behaviours.site.direct_control import DirectControl
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.metering import AgreedReporting, DeviceMetering, DeviceReading, ReadingStorage
from behaviours.site.sample_sending import SampleSending
from ontology.roles import Role

__all__ = ["Gateway"]


class Gateway(Agent):
    """Reads a site's devices and is the only one that steers them (D8.1 3.1, IML)."""

    role = Role.GATEWAY
    behaviours = (
        DeviceReading,  # up: readings, cleaned
        DeviceMetering,  # what each device drew
        ReadingStorage,  # kept until the repository has them
        AgreedReporting,  # what agreements are about
        FactReporting,  # until the repository has it
        DeviceControl,  # down: instructions, by priority
        DirectControl,  # and the DSO's, for what it controls directly
        SampleSending,  # raw samples, where it has an outbox of them
    )
