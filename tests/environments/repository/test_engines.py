"""Database URLs, what messages show of them, and what reaches the disk."""

import pytest
from facts import reading
from inline import inline

from environments.repository import SqlRepository
from environments.repository.engines import Engines
from ontology.errors import InvalidInput, Refused, Unavailable
from ontology.ledger import LedgerEntry


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:geheim@host/database",
        "postgresql://user@host/database?password=geheim",
        "mysql://user:geheim@host/database",
        "post gresql:geheim",
    ],
)
def test_a_password_is_refused_and_never_shown(url):
    with pytest.raises(InvalidInput) as refused:
        Engines(url)
    assert "geheim" not in str(refused.value)


def test_what_cannot_be_reached_is_named_without_its_options():
    with pytest.raises(Unavailable) as away:
        SqlRepository("postgresql://nobody@127.0.0.1:1/facts?passfile=/etc/parity/passfile")
    assert "postgresql://nobody@127.0.0.1:1/facts" in str(away.value)


@pytest.mark.server
def test_a_password_from_a_file_opens_the_database_and_a_wrong_one_does_not(postgresql_cluster, tmp_path):
    url = postgresql_cluster.new_database()
    SqlRepository(url).close()
    wrong = tmp_path / "passfile"
    wrong.write_text("*:*:*:*:wrong\n")
    wrong.chmod(0o600)
    with pytest.raises(Unavailable, match="password"):
        SqlRepository(url.partition("?")[0] + f"?passfile={wrong}")


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path):
    file = tmp_path / "letter.txt"
    file.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(Unavailable, match="not a database"):
        SqlRepository(f"sqlite:///{file}")
    assert file.read_text().startswith("Dear Sir")


@pytest.mark.server
def test_a_user_without_rights_is_told_which_it_lacks(postgresql_cluster):
    url = postgresql_cluster.new_database()
    name = url.partition("?")[0].rpartition("/")[2]
    with postgresql_cluster.connect(name) as connection:
        connection.execute("CREATE ROLE guest LOGIN PASSWORD 'guest'")
    passfile = postgresql_cluster.passfile.with_name("guest")
    passfile.write_text("*:*:*:guest:guest\n")
    passfile.chmod(0o600)
    with pytest.raises(Refused, match="allowed to make tables"):
        SqlRepository(url.partition("?")[0].replace("parity@", "guest@") + f"?passfile={passfile}")


def test_only_the_owner_reads_a_new_file(tmp_path):
    SqlRepository(f"sqlite:///{tmp_path / 'facts.sqlite'}").close()
    assert (tmp_path / "facts.sqlite").stat().st_mode & 0o077 == 0


def entry() -> LedgerEntry:
    return LedgerEntry(time_s=900, debit="a", credit="b", amount_tokens=1, settlement_key="lem 900")


def test_a_settlement_waits_for_the_disk_and_a_reading_does_not(tmp_path, monkeypatch):
    repository = SqlRepository(f"sqlite:///{tmp_path / 'facts.sqlite'}")
    levels = []
    writing = repository.engines.writing

    def noted(*, durable=False):
        engine = repository.engines._durable if durable else repository.engines._plain
        with engine.connect() as connection:
            levels.append(connection.exec_driver_sql("PRAGMA synchronous").scalar())
        return writing(durable=durable)

    monkeypatch.setattr(repository.engines, "writing", noted)
    inline(repository.store([reading(900)]))
    inline(repository.store([reading(900), entry()]))
    assert levels == [1, 2]  # NORMAL, FULL
    repository.close()


@pytest.mark.server
def test_postgresql_answers_after_the_disk_even_where_the_server_would_not(postgresql_cluster):
    url = postgresql_cluster.new_database()
    name = url.partition("?")[0].rpartition("/")[2]
    with postgresql_cluster.connect() as connection:
        connection.autocommit = True
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    engines = Engines(url)
    with engines.writing() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
    engines.close()


def test_two_processes_worth_of_writers_take_turns(tmp_path):
    url = f"sqlite:///{tmp_path / 'facts.sqlite'}"
    one, two = SqlRepository(url), SqlRepository(url)
    for number in range(20):
        inline((one, two)[number % 2].store([reading(900 * number)]))
    assert len(inline(one.query("parity:IntervalReading", "h001", 0, 90_000))) == 20
    one.close()
    two.close()


def test_threads_share_a_repository(repository):
    from concurrent.futures import ThreadPoolExecutor

    def store(site: int) -> None:
        for number in range(10):
            inline(repository.store([reading(900 * number, f"h{site:03}")]))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store, range(4)))
    assert len(inline(repository.query("parity:IntervalReading", "", 0, 90_000))) == 40
