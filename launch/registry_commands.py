"""The commands `parity-mas registry`: users with their sites, catalogues, consents, export and erasure.

Personal data comes in by file, by standard input or by prompt, never as an argument: arguments are seen by
everybody on the machine, and stay in the shell's history.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launch.exits import errors

if TYPE_CHECKING:
    from behaviours.repository_port import Repository

__all__ = ["registry_app"]

OPERATOR = "operator"
"""Who acts at the command line, as the list of actions has it."""
CATALOGUES = {
    "roles": "kinds of users",
    "building-types": "kinds of buildings",
    "asset-types": "kinds of equipment",
    "sensor-types": "kinds of sensors",
    "buildings": "buildings",
    "usage-points": "connections to the grid",
    "assets": "equipment",
    "sensors": "sensors",
}

registry_app = typer.Typer(help="Who is behind the sites, and what there is at them.", no_args_is_help=True)
users_app = typer.Typer(help="Users: taken up, shown, put right, exported, erased.", no_args_is_help=True)
consents_app = typer.Typer(help="What users agree to, and agreed to.", no_args_is_help=True)
registry_app.add_typer(users_app, name="users")
registry_app.add_typer(consents_app, name="consents")

Folder = Annotated[Path, typer.Argument(help="Of the registry.", metavar="FOLDER", show_default=False)]
UserId = Annotated[str, typer.Argument(help="As `users list` shows it.", metavar="USER", show_default=False)]
File = Annotated[Path, typer.Argument(help="JSON; - is standard input.", metavar="FILE", show_default=False)]
Purpose = Annotated[str, typer.Argument(help="FLEXIBILITY or ANALYTICS.", metavar="PURPOSE")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs: JSON, one object a line.")]
Repositories = Annotated[
    list[str] | None,
    typer.Option("--repository", help="URL of a database with what was measured. May be repeated."),
]


@registry_app.command()
def init(
    folder: Folder,
    database: Annotated[str, typer.Option(help="URL of a database, instead of a file in the folder.")] = "",
) -> None:
    """Make a registry: its keys, its tables, and catalogues with the codes of the field."""
    from launch.user_registry import KEYS, create_registry

    with errors():
        create_registry(folder, database).close()
    print(f"{folder}: a new registry; its keys are in {folder / KEYS}, back them up apart from the database")


@users_app.command()
def add(
    folder: Folder,
    file: Annotated[
        Path | None,
        typer.Argument(help="JSON; - is standard input; none: you are asked.", show_default=False),
    ] = None,
) -> None:
    """Take up a user with site, equipment and consents, and print the new user's id."""
    from launch.results import completed
    from launch.user_registry import registry_in
    from ontology.registration import read_form

    with errors(), registry_in(folder) as registry:
        told, details = read_form(_asked() if file is None else _read(file))
        print(completed(registry.register(told, _now_s(), OPERATOR, details)).user_id)


@users_app.command("list")
def list_users(
    folder: Folder,
    names: Annotated[bool, typer.Option("--names", help="With names and e-mails.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print who is registered, by id; names only when they are asked for."""
    from launch.user_registry import registry_in

    with errors(), registry_in(folder) as registry:
        sites = {user: site for site, _, user in registry.portfolio()}
        for user in registry.users():
            shown = {"user_id": user.user_id, "role": user.role_id, "site": sites.get(user.user_id, "")}
            if names:
                shown |= {"name": user.name, "email": user.email}
            print(json.dumps(shown, ensure_ascii=False) if as_json else "  ".join(shown.values()))


@users_app.command()
def show(folder: Folder, user: UserId) -> None:
    """Print what is known of a user, as JSON."""
    from launch.user_registry import registry_in

    with errors(), registry_in(folder) as registry:
        found = registry.user(user)
        _print_json(_known(found, "user", user))


@users_app.command()
def correct(folder: Folder, user: UserId, file: File) -> None:
    """Put a user's name and e-mail right."""
    from launch.user_registry import registry_in
    from ontology.reading import read_struct
    from ontology.registration import PersonalDetails

    with errors(), registry_in(folder) as registry:
        registry.correct(user, read_struct(PersonalDetails, _read(file)), _now_s(), OPERATOR)


@users_app.command()
def export(
    folder: Folder,
    user: UserId,
    out: Annotated[Path, typer.Option(help="The file to write: .json, or .zip.", show_default=False)],
    repository: Repositories = None,
    ledger: Annotated[
        str, typer.Option(help="A run folder, the file of a chain, or the address of a node.")
    ] = "",
) -> None:
    """Write down all that is stored about a user, for the user (GDPR Art. 15 and 20)."""
    from launch.results import completed
    from launch.user_registry import registry_in, wallet_on, write_export

    with errors(), registry_in(folder) as registry:
        stores = [_opened(url) for url in repository or ()]
        exported = completed(registry.export(user, _now_s(), OPERATOR, *stores))
        if ledger:
            exported["wallet"] = wallet_on(registry, user, ledger)
        write_export(exported, out)
    print(f"{out} has all that is stored about {user}")


@users_app.command()
def erase(
    folder: Folder,
    user: UserId,
    repository: Repositories = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
) -> None:
    """Forget for good who a user was (GDPR Art. 17); what was settled stays under its pseudonyms."""
    from launch.results import completed
    from launch.user_registry import registry_in

    if not yes:
        typer.confirm(f"Forget {user} for good?", abort=True)
    with errors(), registry_in(folder) as registry:
        stores = [_opened(url) for url in repository or ()]
        completed(registry.erase(user, _now_s(), OPERATOR, *stores))
    print(f"{user} is forgotten")


@users_app.command()
def wallet(
    folder: Folder,
    user: UserId,
    source: Annotated[
        str, typer.Argument(help="A run folder, the file of a chain, or the address of a node.")
    ],
    contract: Annotated[str, typer.Option(help="Address of the contract with the tokens.")] = "",
) -> None:
    """Print what a user holds on a ledger, and how it moved, as JSON."""
    from launch.user_registry import registry_in, wallet_on

    with errors(), registry_in(folder) as registry:
        _print_json(wallet_on(registry, user, source, contract))


@consents_app.command("list")
def list_consents(folder: Folder, user: UserId) -> None:
    """Print what a user agreed to and withdrew, in order."""
    from launch.results import completed
    from launch.user_registry import registry_in

    with errors(), registry_in(folder) as registry:
        for said in completed(registry.consents(user)):
            _print_json(said)


@consents_app.command()
def give(folder: Folder, user: UserId, purpose: Purpose, text: str = "") -> None:
    """Write down that a user agrees."""
    _consent(folder, user, purpose, True, text)


@consents_app.command()
def withdraw(folder: Folder, user: UserId, purpose: Purpose) -> None:
    """Write down that a user does not agree any more: a running community heeds it with its next interval."""
    _consent(folder, user, purpose, False, "")


@registry_app.command("actions")
def list_actions(
    folder: Folder,
    about: Annotated[str, typer.Argument(help="A user's id; everybody's without it.")] = "",
) -> None:
    """Print what was done in the registry, by whom, in order."""
    from launch.user_registry import registry_in

    with errors(), registry_in(folder) as registry:
        for action in registry.audit.about(about):
            print("  ".join(map(str, action)))


@registry_app.command()
def rotate(folder: Folder) -> None:
    """Wrap all keys anew under a new master key; copies of the old one open nothing any more."""
    from launch.user_registry import registry_in

    with errors(), registry_in(folder) as registry:
        registry.rotate_master_key(_now_s(), OPERATOR)


@registry_app.command("forget-epochs")
def forget_epochs(
    folder: Folder,
    epochs: Annotated[int, typer.Option(help="So many that ended are kept.", min=1)] = 13,
) -> None:
    """Destroy the keys of pseudonyms' epochs that are long past: nobody can make those pseudonyms again."""
    from behaviours.decisions.pseudonyms import EPOCH_S
    from launch.user_registry import registry_in

    with errors(), registry_in(folder) as registry:
        now_s = _now_s()
        gone = registry.pseudonyms.forget_epochs(now_s - epochs * EPOCH_S, now_s, OPERATOR)
    print(f"{gone} keys destroyed")


def _catalogue(kind: str, about: str) -> typer.Typer:
    """Return the commands of one catalogue."""
    app = typer.Typer(help=f"{about.capitalize()}.", no_args_is_help=True)
    name_of = Annotated[str, typer.Argument(help="Of the entry.", metavar="NAME", show_default=False)]

    @app.command("list", help=f"Print all {about}, one JSON object a line.")
    def entries(folder: Folder) -> None:
        from launch.results import completed
        from launch.user_registry import registry_in

        with errors(), registry_in(folder) as registry:
            for entry in completed(registry.catalogue.entries(kind)):
                _print_json(entry)

    @app.command("show", help="Print an entry.")
    def one(folder: Folder, name: name_of) -> None:
        from launch.results import completed
        from launch.user_registry import registry_in

        with errors(), registry_in(folder) as registry:
            _print_json(_known(completed(registry.catalogue.get(kind, name)), kind, name))

    @app.command("add", help="Enter or replace an entry, from a file (JSON; - is standard input).")
    def put(folder: Folder, file: File) -> None:
        from environments.registry.catalogue import kind_of
        from launch.results import completed
        from launch.user_registry import registry_in
        from ontology.reading import read_struct

        with errors(), registry_in(folder) as registry:
            entry = read_struct(kind_of(kind).concept, _read(file))
            completed(registry.catalogue.put(entry))

    @app.command("remove", help="Remove an entry that no other refers to.")
    def gone(folder: Folder, name: name_of) -> None:
        from launch.results import completed
        from launch.user_registry import registry_in

        with errors(), registry_in(folder) as registry:
            if not completed(registry.catalogue.remove(kind, name)):
                _known(None, kind, name)

    return app


for _kind, _about in CATALOGUES.items():
    registry_app.add_typer(_catalogue(_kind, _about), name=_kind)


def _consent(folder: Path, user: str, purpose: str, given: bool, text: str) -> None:
    from launch.results import completed
    from launch.user_registry import registry_in
    from ontology.errors import InvalidInput, problem
    from ontology.registration import ConsentPurpose

    with errors(), registry_in(folder) as registry:
        if purpose not in list(ConsentPurpose):
            raise InvalidInput(problem("PURPOSE", purpose, "one of " + ", ".join(ConsentPurpose)))
        completed(registry.consent(user, ConsentPurpose(purpose), given, _now_s(), OPERATOR, text))


def _asked() -> dict[str, Any]:
    """Ask for a user without a site; who has one needs a file."""
    name = typer.prompt("Name")
    email = typer.prompt("E-mail")
    role = typer.prompt("Role (DSO, AGGREGATOR, MARKET_OPERATOR, ADMIN, EV_DRIVER)")
    return {"name": name, "email": email, "role_id": role}


def _read(file: Path) -> Any:
    """Return what a JSON file says.

    Raises: InvalidInput when it is none.
    """
    from ontology.errors import InvalidInput, problem

    try:
        return json.loads(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(problem("FILE", str(file), error.strerror or "a file")) from None
    except ValueError as error:
        raise InvalidInput(problem("FILE", str(file), f"JSON ({error})")) from None


def _known(found: Any, kind: str, name: str) -> Any:
    from ontology.errors import InvalidInput, problem

    if found is None:
        raise InvalidInput(problem(kind, name, "one that there is; `list` shows them"))
    return found


def _opened(url: str) -> "Repository":
    from environments.repository import SqlRepository

    return SqlRepository(url)


def _now_s() -> int:
    from environments.simulation.clock import WallClock

    return int(WallClock().now_s())


def _print_json(content: Any) -> None:
    import msgspec

    print(msgspec.json.encode(content).decode())
