"""Times in headers."""

import re
import time


def test_an_answer_says_how_long_it_took(start):
    value = start().get("/plain").headers["x-process-time"]

    assert re.fullmatch(r"\d+\.\d{6}", value)
    assert 0 < float(value) < 5


def test_an_answer_says_when_the_request_arrived(start):
    before = int(time.time())
    answer = start().get("/state")

    assert before <= int(answer.headers["x-timestamp"]) <= time.time()
    assert answer.json()["arrived"] == int(answer.headers["x-timestamp"])


def test_strangers_are_told_nothing_about_the_inside(start):
    answer = start().get("/timed")

    assert "server-timing" not in answer.headers
    assert answer.json() is False


def test_developers_are_told(start):
    answer = start(app={"debug": True}).get("/timed")

    spans = answer.headers["server-timing"].split(", ")
    assert re.fullmatch(r"total;dur=\d+\.\d", spans[0])
    assert spans[1] == "db;dur=3.1"
    assert answer.json() is True


def test_names_can_not_break_out_of_the_header(start):
    assert "bad_name__really;dur=1.0" in start({"server_timing": True}).get("/timed").headers["server-timing"]


def test_no_more_spans_are_sent_than_fit(start):
    assert len(start({"server_timing": True}).get("/timed").headers["server-timing"].split(", ")) == 51


def test_on_sends_it_always_and_off_never(start):
    assert "server-timing" in start({"server_timing": True}).get("/plain").headers
    assert "server-timing" not in start({"server_timing": False}, app={"debug": True}).get("/timed").headers
