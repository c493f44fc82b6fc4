"""What a community's sites and accounts are called in its market, epoch by epoch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from behaviours.decisions.pseudonyms import EPOCH_S, EpochKeys, epoch_of, scope_key, subject_key_of
from launch.rules import span_s
from launch.scenario import Scenario
from launch.user_registry import registry_in
from ontology.base import INTERVAL_S
from ontology.privacy import PseudonymScope

__all__ = ["Pseudonyms", "pseudonyms_of"]

FIRST_EPOCH = 0
"""Organisations are no persons: their accounts keep the names of this epoch."""
SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class Pseudonyms:
    """The keys of a run: of sites by epoch, and of the community's own accounts, which keep their names."""

    keys: EpochKeys
    own: EpochKeys
    subject_keys: Mapping[str, bytes]
    """By site, what its line of the link table is sealed under."""
    epochs: tuple[int, ...]
    """Those in which the run has intervals."""

    @property
    def community(self) -> tuple[str, str]:
        """The accounts of aggregator and grid operator."""
        time_s = self.epochs[0] * EPOCH_S
        return self.own.pseudonym_of("aggregator", time_s), self.own.pseudonym_of("grid", time_s)

    def players(self, site: str) -> Mapping[int, str]:
        """Return what a site is called in each epoch of the run."""
        named = self.keys.pseudonyms_of(site)
        return {epoch: named[epoch] for epoch in self.epochs}

    def by_player(self, sites: Iterable[str]) -> Mapping[str, str]:
        """Return which site is behind each pseudonym."""
        return {player: site for site in sites for player in self.players(site).values()}

    def successors(self, sites: Iterable[str]) -> Mapping[str, str]:
        """Return which pseudonym follows on each, in the next epoch: the link table."""
        return {
            player: later
            for site in sites
            for player, later in pairwise(self.players(site)[epoch] for epoch in self.epochs)
        }


class SimulatedKeys(dict[str, bytes]):
    """Keys of a simulation's sites, each derived when it is asked for."""

    def __init__(self, master_key: bytes) -> None:
        """Derive from a master key."""
        super().__init__()
        self._master_key = master_key

    def __missing__(self, site: str) -> bytes:
        self[site] = subject_key_of(self._master_key, site)
        return self[site]


def pseudonyms_of(scenario: Scenario) -> Pseudonyms:
    """Return the keys of a run: of its registry, or derived from the seed, worthless anywhere else."""
    start_s, end_s = span_s(scenario)
    agreed_s = [start_s + round((a.after_hours + a.hours) * SECONDS_AN_HOUR) for a in scenario.agreements]
    first, last = epoch_of(start_s), epoch_of(end_s - INTERVAL_S)
    epochs = range(first, epoch_of(max(end_s, *agreed_s, start_s)) + 1)
    if scenario.registry.folder:
        return _registered(Path(scenario.registry.folder), epochs, tuple(range(first, last + 1)))
    master = scenario.seed.to_bytes(8, "big") * 4
    lem = PseudonymScope.LEM
    return Pseudonyms(
        keys=EpochKeys({epoch: scope_key(master, lem, epoch) for epoch in epochs}),
        own=EpochKeys(dict.fromkeys(epochs, scope_key(master, lem, FIRST_EPOCH))),
        subject_keys=SimulatedKeys(master),
        epochs=tuple(range(first, last + 1)),
    )


def _registered(folder: Path, epochs: range, played: tuple[int, ...]) -> Pseudonyms:
    lem = PseudonymScope.LEM
    with registry_in(folder) as registry:
        organisations = scope_key(registry.organisations_key, lem, FIRST_EPOCH)
        return Pseudonyms(
            keys=registry.pseudonyms.epoch_keys(lem, epochs),
            own=EpochKeys(dict.fromkeys(epochs, organisations)),
            subject_keys=registry.pseudonyms.subject_keys(),
            epochs=played,
        )
