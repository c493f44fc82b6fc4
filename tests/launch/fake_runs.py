"""Stands in for `launch.runs`: writes made-up results, so that the command line is tested alone."""

from launch_samples import made_up_result

from launch.run_folder import Interrupted, Progress, RunFolder, RunResult
from ontology.errors import Unavailable

CALLS = []


def run_offline(scenario, out, progress, mode="offline"):
    CALLS.append((scenario, out))
    sample = made_up_result()
    if scenario.seed == 13:
        raise Unavailable("the chain does not answer")
    for interval in range(1, 9):
        progress(
            Progress(
                interval=interval, intervals=8, time_s=1714644000 + 900 * interval, letters=interval * 10
            )
        )
    stopped = scenario.seed == 130
    values = {**vars(sample), "scenario": scenario, "mode": mode, "complete": not stopped, "folder": out}
    result = RunResult(**values)
    if out is not None:
        RunFolder(out, scenario, mode).finish(result)
    if stopped:
        raise Interrupted(result)
    return result


async def run_live(scenario, out, progress, shard, meeting_place, front=None):
    return run_offline(scenario, out, progress, scenario.server.kind)
