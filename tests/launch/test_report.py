import re
from html.parser import HTMLParser

import numpy as np
import pytest
from launch_samples import made_up_result

from launch.report import render_report
from launch.run_folder import RunResult, RunTables
from launch.summary import summarise


@pytest.fixture(scope="module")
def page():
    return render_report(made_up_result())


def test_the_report_needs_nothing_from_outside(page):
    assert not re.search(r"https?:|//[a-z]|<script|<link|<iframe|@import|src=", page)


def test_the_report_shows_a_chart_for_everything_that_the_run_has(page):
    assert re.findall(r'<section id="(\w+)"', page) == [
        "prices",
        "exchange",
        "devices",
        "sites",
        "storage",
        "temperatures",
        "grid",
        "tokens",
        "table",
        "run",
    ]
    assert "EUR/kWh" in page
    assert "local time (Europe/Berlin)" in page


def test_no_two_elements_have_one_id(page):
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_charts_follow_the_colours_of_the_page(page):
    assert "var(--ink)" in page
    assert not re.search("#010203|#040506|#070809", page)


def test_the_report_is_the_same_each_time(page):
    assert render_report(made_up_result()) == page


def test_many_sites_are_shown_as_percentiles():
    page = render_report(made_up_result(sites=70))
    assert "95 % of the sites have at most" in page
    assert "h069" not in page


def test_a_run_that_was_stopped_says_so():
    assert "stopped early" in render_report(made_up_result(complete=False))


def test_a_run_that_was_stopped_before_its_first_interval_has_a_report():
    result = made_up_result()
    empty = RunResult(**{**vars(result), "tables": RunTables(), "complete": False})
    assert "0 of 8 intervals" in render_report(empty)


def test_names_cannot_smuggle_markup():
    result = made_up_result()
    result.accounts["0xh001"] = "<b>h001</b>"
    page = render_report(RunResult(**{**vars(result), "notes": ("<script>alert(1)</script>",)}))
    assert "<script" not in page
    assert "<b>h001" not in page


def test_the_page_is_well_formed(page):
    class Checker(HTMLParser):
        open_tags: list[str] = []

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "path", "use", "rect"):
                self.open_tags.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            if tag in self.open_tags:
                assert self.open_tags.pop() == tag

    checker = Checker()
    checker.feed(page)
    assert checker.open_tags == []


def test_headlines_are_what_one_would_compute_by_hand():
    summary = summarise(made_up_result())
    assert summary.bought_locally_kwh == pytest.approx(0.8)
    assert summary.imported_kwh == 0
    assert summary.exported_kwh == pytest.approx(2.4)
    assert summary.pv_kwh == pytest.approx(4.0)
    assert summary.self_consumption == pytest.approx(0.4)
    assert summary.self_sufficiency == 1
    assert (summary.green, summary.yellow, summary.red) == (5, 2, 1)
    assert summary.tokens_moved == 8
    assert summary.estimated == 1
    assert summary.buy_eur_per_kwh.mean == pytest.approx(0.14)
    assert not np.isnan(summary.benefit_eur)
