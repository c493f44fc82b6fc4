"""The process of a simulation that the console started: runs a scenario offline and tells how far it is.

`python -m launch.simulation_process SCENARIO OUT [KEY=VALUE …]` writes one JSON object a line:
`{"interval": 3, "intervals": 96}` after each interval, and `{"problem": "…"}` when it cannot run. It ends
when nobody reads any more, and after the present interval on SIGINT.
"""

import json
import sys
from pathlib import Path

from launch.run_folder import Interrupted, Progress
from launch.runs import run_offline
from launch.scenario import load_scenario
from launch.stopping import stop_between_intervals
from ontology.errors import ParityError

__all__ = ["main"]


def main(scenario: str, out: str, *settings: str) -> int:
    """Run a scenario into a folder and return the exit code."""
    overrides = {key: int(value) for key, value in (each.split("=", 1) for each in settings)}
    try:
        with stop_between_intervals(_tell) as progress:
            run_offline(load_scenario(scenario, overrides), Path(out), progress)
    except Interrupted:
        return 130
    except ParityError as error:
        _say({"problem": str(error)})
        return 2
    return 0


def _tell(progress: Progress) -> None:
    _say({"interval": progress.interval, "intervals": progress.intervals})


def _say(words: dict[str, int | str]) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
