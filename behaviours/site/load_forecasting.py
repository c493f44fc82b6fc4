"""The load of a site that no device explains: learnt from readings, foreseen for a day."""

import numpy as np

from behaviours.behaviour import Behaviour, on
from behaviours.decisions.forecasters.load_record import LoadRecord, better_model
from behaviours.decisions.forecasters.past_days import LAG_DAYS
from behaviours.decisions.forecasters.ridge import RidgeModel
from behaviours.decisions.forecasting import LoadHistory, integers, load_outlook
from behaviours.site.prosumer_settings import ProsumerSettings
from ontology.base import INTERVAL_S, INTERVALS_A_DAY
from ontology.letter import Letter
from ontology.measurements import Measurement

__all__ = ["LoadForecasting"]

REFIT_S = 7 * 86_400
"""How often it is looked whether a model of the load errs less than the median; it takes milliseconds."""


class LoadForecasting(Behaviour):
    """Learns the load that no device explains, and forecasts it by what errs less: median or ridge."""

    settings: ProsumerSettings

    def setup(self) -> None:
        """Know nothing but the usual profile."""
        self._history = LoadHistory.empty()
        self._record = LoadRecord.empty()
        self._model: RidgeModel | None = None
        self._fitted_s = 0
        self._usual_w = np.tile(np.asarray(self.settings.usual_load_w, dtype=np.float64), 2)

    @on(Measurement)
    def learn(self, base: Measurement, letter: Letter) -> None:
        """Take the base load of an interval into the history."""
        self._history = self._history.after(base.time_s, base.value)
        self._record = self._record.after(base.time_s, base.value)

    def outlook_w(self, start_s: int) -> list[int]:
        """Return the expected base load of the day from a time, in W."""
        modelled = self._modelled_w(start_s)
        if modelled is not None:
            return modelled
        slot = start_s % 86_400 // INTERVAL_S
        usual_w = self._usual_w[slot : slot + INTERVALS_A_DAY]
        expected: list[int] = load_outlook(self._history, start_s, usual_w).power_w.tolist()
        return expected

    def _modelled_w(self, start_s: int) -> list[int] | None:
        """Return what a fitted model expects, once there is one that errs less than the median."""
        if start_s - self._fitted_s >= REFIT_S:
            self._fitted_s = start_s
            self._model = better_model(self._record, start_s)
        past = self._record.before(start_s, LAG_DAYS) if self._model else None
        if self._model is None or past is None or past.days < LAG_DAYS:
            return None
        expected: list[int] = integers(self._model.forecast(past).expected_w).tolist()
        return expected
