"""Blockchain agents: one a node; the aggregator's runs the market engine."""

from behaviours.agent import Agent
from behaviours.grid.registering import GridRegistering
from behaviours.market.agreements import SlaChecking
from behaviours.market.attestation_collecting import AttestationCollecting
from behaviours.market.auditing import RegisterAuditing
from behaviours.market.carry_over import CarryingOver
from behaviours.market.corrections import CorrectionSettling
from behaviours.market.dataset_submission import (
    DatasetSubmission,
    MeasureSubmission,
    ReadingKeeping,
    ResultKeeping,
)
from behaviours.market.engine import LemSolving, PriceForecasting, ResultAnnouncing
from behaviours.market.payments import EntryKeeping, PaymentSettling
from behaviours.market.players import DatasetCollection, PlayerRegistration
from behaviours.market.proving import DatasetCommitting, DatasetProving
from behaviours.market.registering import MarketRegistering
from behaviours.market.settled_markets import SettledMarkets
from ontology.roles import Role

__all__ = ["DsoBlockchainAgent", "MarketEngine", "ProsumerBlockchainAgent"]


class ProsumerBlockchainAgent(Agent):
    """Brings a player's data to the market, exactly once, and its result back (D8.1 3.3)."""

    role = Role.BLOCKCHAIN
    behaviours = (
        DatasetCommitting,  # what it brought can be shown later
        DatasetSubmission,  # until the engine has it
        ResultKeeping,  # what the market brought
        MeasureSubmission,  # what the indicators came to
        RegisterAuditing,  # what it is told, held against the register
    )


class MarketEngine(Agent):
    """Clears the markets and settles them on the ledger; the aggregator's blockchain agent (D8.1 3.3)."""

    role = Role.BLOCKCHAIN
    behaviours = (
        PlayerRegistration,  # who takes part, with an account
        DatasetCollection,  # what each player brought
        DatasetProving,  # under one root, proven to each
        LemSolving,  # market engine and payment engine
        SettledMarkets,  # what was settled with estimates
        CorrectionSettling,  # what late readings change
        CarryingOver,  # balances, to the pseudonyms of the next epoch
        AttestationCollecting,  # nobody settles alone
        PaymentSettling,  # what payers order
        EntryKeeping,  # who paid whom, for all to read
        SlaChecking,  # agreements, verdicts and penalties
        ResultAnnouncing,  # how each market was cleared
        MarketRegistering,  # opened, closed and solved, for all to read
        PriceForecasting,  # prices ahead
        ReadingKeeping,  # the portfolio's sums
    )


class DsoBlockchainAgent(Agent):
    """Writes the states and constraints of the grid down for all to read (D8.1 3.9.3)."""

    role = Role.BLOCKCHAIN
    behaviours = (
        GridRegistering,  # the lights and limits of each segment
    )
