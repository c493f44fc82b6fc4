"""The command `parity-mas`: run a community, inspect it, and the groups of commands for parts of it.

Heavy imports are inside the commands, so that `--help` answers at once.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launch import ev
from launch.api_commands import api_app
from launch.console_command import console
from launch.exits import INTERRUPTED
from launch.exits import errors as _errors
from launch.exits import fail as _fail
from launch.grid_commands import grid_app
from launch.iml_commands import iml_app
from launch.ledger_commands import ledger_app
from launch.packages import foreign_packages
from launch.registry_commands import registry_app
from launch.repository_commands import repository_app
from launch.tap_command import tap

if TYPE_CHECKING:
    from launch.run_folder import RunResult
    from launch.scenario import Scenario
    from launch.serving import Front
    from launch.sharding import MeetingPlace, Shard

    Meeting = tuple[Shard, MeetingPlace]

__all__ = ["app", "main"]

FOREIGN_PACKAGES = 1

app = typer.Typer(
    help="A multi-agent platform for local energy and flexibility markets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("tap")(tap)
app.command("console")(console)
app.add_typer(ledger_app, name="ledger")
forecast = typer.Typer(help="Forecasts of a user's own data.", no_args_is_help=True)
app.add_typer(forecast, name="forecast")
app.add_typer(ev.app, name="ev")
app.add_typer(grid_app, name="grid")
app.add_typer(registry_app, name="registry")
app.add_typer(api_app, name="api")
app.add_typer(repository_app, name="repository")
app.add_typer(iml_app, name="iml")

ScenarioFile = Annotated[
    Path, typer.Argument(help="A scenario (YAML).", metavar="SCENARIO", show_default=False)
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Set any key: path=value. May be repeated.", metavar="PATH=VALUE"),
]

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log everything, not only warnings.")]


def main() -> None:
    """Run the command line; the exit code of each error is that of `ontology.errors`."""
    complaints = foreign_packages()
    if complaints:
        _fail("\n".join([*complaints, *_OWN_ENVIRONMENT]), FOREIGN_PACKAGES)
    app()


_OWN_ENVIRONMENT = (
    "",
    "parity-mas needs an environment of its own, where nothing else installs packages of these names:",
    "    python3 -m venv parity && parity/bin/pip install parity-mas",
)


@app.command()
def run(
    scenario: ScenarioFile,
    offline: Annotated[bool, typer.Option("--offline", help="In Mesa, under virtual time.")] = False,
    seed: Annotated[int | None, typer.Option(help="Another seed gives another day.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.", show_default="runs/NAME-001, …")] = None,
    server: Annotated[
        str | None,
        typer.Option(help="XMPP server of a live run: embedded, prosody or external.", metavar="KIND"),
    ] = None,
    pace: Annotated[
        float | None,
        typer.Option(help="Live: real seconds that an interval takes at least.", metavar="SECONDS"),
    ] = None,
    intervals: Annotated[
        int | None, typer.Option(help="So many intervals instead of the scenario's days.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(help="Live: only the agents of this shard; others run the rest.", metavar="I/N"),
    ] = None,
    server_file: Annotated[
        Path | None,
        typer.Option(help="Live: where shards meet, as `parity-mas server` wrote it.", metavar="FILE"),
    ] = None,
    settings: Settings = None,
    verbose: Verbose = False,
) -> None:
    """Run a community, live over XMPP or (--offline) in Mesa under virtual time."""
    flags = {"seed": seed, "server": server, "pace_s": pace, "intervals": intervals}
    with _errors():
        loaded = _load(scenario, {k: v for k, v in flags.items() if v is not None}, settings)
        meeting = _meeting(loaded, offline, shard, server_file)
        folder = out or _next_folder(loaded)
        _log(verbose)
        result = _run(loaded, folder, offline, meeting)
    from launch.console import print_result

    print_result(result)
    if not result.complete:
        raise typer.Exit(INTERRUPTED)


@app.command()
def serve(
    scenario: ScenarioFile,
    seed: Annotated[int | None, typer.Option(help="Another seed gives another day.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder.", show_default="runs/NAME-001, …")] = None,
    pace: Annotated[
        float, typer.Option(help="Real seconds that an interval takes at least.", metavar="SECONDS")
    ] = 10.0,
    port: Annotated[
        int | None, typer.Option(help="Where the REST interface listens; 0 = any.", min=0, max=65_535)
    ] = None,
    settings: Settings = None,
    verbose: Verbose = False,
) -> None:
    """Run a community live behind REST interface and console, until interrupted (`parity-mas api token`)."""
    flags = {"seed": seed, "pace_s": pace, "api.port": port}
    with _errors():
        loaded = _load(scenario, {k: v for k, v in flags.items() if v is not None}, settings)
        folder = out or _next_folder(loaded)
        _log(verbose)
        from launch.serving import Front
        from launch.simulations import LocalSimulations

        front = Front(loaded.api, _say_served, LocalSimulations(folder.parent))
        result = _run(loaded, folder, False, front=front)
    from launch.console import print_result

    print_result(result)
    if not result.complete:
        raise typer.Exit(INTERRUPTED)


def _say_served(url: str) -> None:
    print(f"serving at {url}, console at {url}/console/; stop with Ctrl-C", flush=True)


@app.command()
def server(
    file: Annotated[Path, typer.Argument(help="Written for the shards: address and secrets.")],
    shards: Annotated[int, typer.Option(help="How many shards meet here.", min=1, max=64)] = 2,
    host: Annotated[str, typer.Option(help="The address that shards can reach.")] = "127.0.0.1",
    domain: Annotated[str, typer.Option(help="The domain of the scenario's server.")] = "localhost",
    verbose: Verbose = False,
) -> None:
    """Run the XMPP server (Prosody) at which the shards of a community meet, until interrupted."""
    import asyncio

    from launch import sharding

    def ready(place: "sharding.MeetingPlace") -> None:
        print(
            f"{place.host}:{place.port} takes {', '.join(place.secrets)}; {file} tells the shards", flush=True
        )

    _log(verbose)
    with _errors():
        asyncio.run(sharding.serve(domain, shards, host, file, ready))


@app.command()
def validate(scenario: ScenarioFile, settings: Settings = None) -> None:
    """Check a scenario and say everything that is wrong with it."""
    with _errors():
        loaded = _load(scenario, {}, settings)
    from launch.console import print_scenario

    print_scenario(scenario, loaded)


@app.command()
def init(
    sites: Annotated[int, typer.Option(help="How many sites.", min=1, max=10_000)] = 10,
) -> None:
    """Print a commented scenario to start from."""
    text = (Path(__file__).parent / "templates" / "scenario.yaml").read_text(encoding="utf-8")
    more = (
        "population:                    # and others, drawn from shares and the seed\n"
        f"  sites: {sites - 1}\n"
        "  shares: {pv: 0.4, battery: 0.25, ev: 0.3, heat_pump: 0.35, hot_water: 0.4}\n"
    )
    named = "1 site" if sites == 1 else f"{sites} sites"
    print(text.format(sites=named, population=more if sites > 1 else ""), end="")


@app.command()
def agents(
    scenario: Annotated[
        Path | None, typer.Argument(help="List the agents of this scenario instead.", show_default=False)
    ] = None,
) -> None:
    """List the roles and what their behaviours answer, or the agents that a scenario starts."""
    from launch import console

    with _errors():
        if scenario is None:
            console.print_roles()
        else:
            console.print_directory(_load(scenario, {}, None))


@app.command()
def schema(
    jsonld: Annotated[bool, typer.Option("--jsonld", help="The JSON-LD context of the messages.")] = False,
    turtle: Annotated[bool, typer.Option("--turtle", help="The ontology as Turtle.")] = False,
    scenario: Annotated[
        bool, typer.Option("--scenario", help="The JSON Schema of scenarios, for editors.")
    ] = False,
) -> None:
    """Print the JSON Schema of the messages, or another description."""
    if jsonld + turtle + scenario > 1:
        _fail("choose one of --jsonld, --turtle and --scenario", 2)
    if turtle:
        from ontology.schema import turtle as as_turtle

        print(as_turtle())
        return
    import json

    from launch.scenario import scenario_schema
    from ontology.schema import json_schema, jsonld_context

    content = scenario_schema() if scenario else jsonld_context() if jsonld else json_schema()
    print(json.dumps(content, indent=2, ensure_ascii=False))


@app.command()
def sweep(
    scenario: ScenarioFile,
    out: Annotated[Path, typer.Option(help="Folder of the table and plots.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Vary a key: path=value,value. May be repeated.", metavar="PATH=VALUES"),
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds: 3, 1..5 or 1,4,7.")] = "1",
    workers: Annotated[
        int | None, typer.Option(help="Worker processes.", show_default="one a core", min=1)
    ] = None,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler.", metavar="ADDRESS")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the run folder of every run.")] = False,
) -> None:
    """Run a scenario offline under every combination of settings and seeds; one table and plots."""
    import os

    from launch import sweep as sweeps
    from launch.console import print_sweep, sweep_progress

    rows: list[dict[str, Any]] = []
    interrupted = False
    with _errors():
        varied = sweeps.parse_settings(settings or [])
        sweeps.check_folder(out)
        jobs = sweeps.plan(scenario, varied, sweeps.parse_seeds(seeds), out / "runs" if keep else None)
        try:
            with sweep_progress(len(jobs)) as done:
                for row in sweeps.run_jobs(jobs, min(workers or os.cpu_count() or 1, len(jobs)), dask):
                    rows.append(row)
                    done()
        except KeyboardInterrupt:
            interrupted = True
        written = sweeps.write_sweep(out, rows, list(varied), jobs[0].scenario) if rows else []
    print_sweep(rows, list(varied), written)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if any(row["error"] for row in rows):
        raise typer.Exit(1)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Run folders.", metavar="RUN...")],
    out: Annotated[Path | None, typer.Option(help="Page with the charts of congestion, HTML.")] = None,
) -> None:
    """Put runs side by side: their numbers, and on a page what relieved the grid in each."""
    from launch import comparison
    from launch.console import print_comparison

    with _errors():
        runs = comparison.compared(folders)
        if out:
            comparison.write_comparison(runs, out)
    print_comparison([name for name, _ in runs], comparison.compared_rows(runs))
    if out:
        print(out)


@forecast.command("backtest")
def forecast_backtest(
    files: Annotated[
        list[Path], typer.Argument(help="Meter readings (CSV), one series a file.", metavar="DATA.csv...")
    ],
    zone: Annotated[
        str | None, typer.Option(help="Zone of times without an offset, and of midnight.", metavar="ZONE")
    ] = None,
    temperature: Annotated[
        Path | None, typer.Option(help="Outdoor temperatures (CSV) of the same days.", metavar="FILE")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Only this method. May be repeated.", metavar="NAME", show_default="all"),
    ] = None,
    warm_up: Annotated[
        int, typer.Option(help="Days known before the first forecast.", min=14, metavar="DAYS")
    ] = 28,
    days: Annotated[
        int | None, typer.Option(help="Only the last so many days.", min=1, show_default="all")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of scores, forecasts and plots.")] = None,
) -> None:
    """Foresee each day of meter readings from the days before it, and compare methods."""
    with _errors():
        from launch import forecast as forecasts

        request = forecasts.Request(files, zone, temperature, method or (), warm_up, days, out)
        tests = forecasts.run_backtests(request)
        written = forecasts.write_backtests(tests, out) if out else []
    forecasts.print_backtests(tests)
    for path in written:
        print(path)


def _load(path: Path, flags: dict[str, Any], settings: list[str] | None) -> "Scenario":
    from launch.scenario import load_scenario
    from launch.sweep import parse_settings

    given = parse_settings(settings or [], several=False)
    return load_scenario(path, {**{key: values[0] for key, values in given.items()}, **flags})


def _meeting(
    scenario: "Scenario", offline: bool, shard: str | None, server_file: Path | None
) -> "Meeting | None":
    """Return which part of a community to run and where its parts meet, if that was asked for."""
    from ontology.errors import InvalidInput, problem

    if shard is None and server_file is None:
        return None
    if offline:
        raise InvalidInput(problem("--offline", "given", "left out: shards are for live runs"))
    if server_file is None:
        raise InvalidInput(problem("--server-file", "missing", "the file that `parity-mas server` wrote"))
    from launch.sharding import parse_shard, read_meeting_place

    domain = scenario.server.domain
    return parse_shard(shard or "1/1", domain), read_meeting_place(server_file)


def _log(verbose: bool) -> None:
    from launch.logs import configure_logs

    configure_logs(verbose)


def _next_folder(scenario: "Scenario") -> Path:
    from launch.run_folder import next_folder

    return next_folder(Path("runs"), scenario.name)


def _run(
    scenario: "Scenario",
    folder: Path,
    offline: bool,
    meeting: "Meeting | None" = None,
    front: "Front | None" = None,
) -> "RunResult":
    import asyncio

    from launch import runs
    from launch.console import run_progress
    from launch.run_folder import Interrupted, RunResult
    from launch.sharding import WHOLE
    from launch.stopping import stop_between_intervals, stop_the_loop

    with run_progress(scenario, "offline" if offline else scenario.server.kind) as progress:
        try:
            if offline:
                with stop_between_intervals(progress) as stoppable:
                    result: RunResult = runs.run_offline(scenario, folder, stoppable)
            else:
                shard, place = meeting or (WHOLE, None)
                with stop_the_loop():
                    result = asyncio.run(
                        runs.run_live(
                            scenario, folder, progress, shard=shard, meeting_place=place, front=front
                        )
                    )
        except Interrupted as interruption:
            result = interruption.result
    return replace(result, folder=folder)


if __name__ == "__main__":
    main()
