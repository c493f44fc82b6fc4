"""The message inspector: filters, conversations, and what each role may see."""

import json

from console_visits import SignIn


def test_letters_are_listed_and_filtered(signed_in: SignIn) -> None:
    client = signed_in("market-operator")
    assert client.get("/console/letters").text.count("data-number") == 4
    assert client.get("/console/letters?act=cfp&agent=dso").text.count("data-number") == 1
    assert "No letters match" in client.get("/console/letters?words=nowhere").text
    assert client.get("/console/letters/rows?before=3").text.count("data-number") == 2
    assert client.get("/console/letters?slower_than_s=soon").status_code == 422


def test_a_conversation_is_drawn_with_what_its_protocol_forbids(signed_in: SignIn) -> None:
    page = signed_in("dso").get("/console/conversations", params={"id": "c1"}).text
    assert page.count('class="arrow"') == 2
    assert "not as the protocol wants" not in page


def test_bodies_need_a_right_of_their_own(signed_in: SignIn) -> None:
    client = signed_in("market-operator")
    assert "wanted" not in client.get("/console/letters/1").text
    assert "wanted" not in client.get("/console/conversations", params={"id": "c1"}).text
    assert "wanted" not in client.get("/console/letters/export").text
    client = signed_in("market-operator", rights=("bodies",))
    assert "wanted" in client.get("/console/letters/1").text


def test_a_prosumer_sees_its_own_letters_only_by_whatever_route(signed_in: SignIn) -> None:
    client = signed_in("prosumer", "h001")
    for path in ("/console/letters", "/console/letters/rows", "/console/letters/export"):
        text = client.get(path).text
        assert "h001-gateway" in text
        assert "h002" not in text
        assert "aggregator" not in text
    assert "own" in client.get("/console/letters/3").text
    assert client.get("/console/letters/4").status_code == 422
    assert client.get("/console/letters?agent=h002").status_code == 422
    assert client.get("/console/conversations", params={"id": "c4"}).status_code == 422
    assert client.get("/console/letters?words=foreign").text.count("data-number") == 0


def test_an_export_is_one_object_a_line_oldest_first(signed_in: SignIn) -> None:
    client = signed_in("market-operator", rights=("bodies",))
    lines = [json.loads(line) for line in client.get("/console/letters/export").text.splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3, 4]
    assert lines[0]["body"] == '{"secret":"wanted"}'
