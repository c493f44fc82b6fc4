"""The shipped artefacts are what the sources compile to."""

import pytest

from contracts import compile as compiler
from contracts.artefact import load_artefact


@pytest.mark.slow
def test_the_shipped_artefact_is_what_the_source_compiles_to():
    assert compiler.main(["--check"]) == 0


def test_a_stale_artefact_is_found_and_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(compiler, "compile_contract", load_artefact)
    monkeypatch.setattr(compiler, "path_of", lambda contract: tmp_path / f"{contract}.json")
    assert compiler.main(["--check"]) == 1
    assert "settlement.json" in capsys.readouterr().err
    assert compiler.main([]) == 0
    assert compiler.main(["--check"]) == 0


def test_the_contract_fits_the_size_limit_of_a_chain():
    assert len(load_artefact("settlement").deployment()) < 24_576
