"""How fast a site answers a signal: from the signal to the first set-point that a device takes (K_RESP)."""

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.kpi import Metric
from behaviours.information.metrics import response_of
from behaviours.site.fact_reporting import FactReporting
from behaviours.site.prosumer_settings import ProsumerSettings
from ontology.control import InstructionBatchStatus, InstructionState
from ontology.flexibility_trading import DRSignal
from ontology.letter import Letter
from ontology.measurements import Measurement, Quantity

__all__ = ["ResponseReporting"]

_TAKEN = (InstructionState.ACCEPTED, InstructionState.STARTED, InstructionState.SUCCEEDED)


class ResponseReporting(Behaviour):
    """Times responses, where an agreement is about them; a signal for later counts from its start."""

    settings: ProsumerSettings

    def setup(self) -> None:
        """No signal is waiting to be answered."""
        self._effective_s: int | None = None

    @on(DRSignal)
    def note_signal(self, signal: DRSignal, letter: Letter) -> None:
        """Remember from when on the signal holds; repeating it does not start the watch anew."""
        if Metric.RESPONSES in self.settings.reports and self._effective_s is None:
            self._effective_s = max(signal.start_s, int(letter.sent_at_s))

    @on(InstructionBatchStatus)
    def note_effect(self, batch: InstructionBatchStatus, letter: Letter) -> None:
        """Report when a device first took a set-point since, as the gateway confirms it."""
        effective_s, now_s = self._effective_s, self.clock.now_s()
        if effective_s is None or now_s < effective_s:
            return
        if not any(each.status in _TAKEN for each in batch.statuses):
            return
        self._effective_s = None
        self.sibling(FactReporting).report(
            Measurement(
                subject=response_of(self.settings.site),
                quantity=Quantity.DURATION_S,
                time_s=effective_s,
                value=float(now_s - effective_s),
            )
        )
