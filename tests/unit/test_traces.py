"""Trace context: what is read, what is refused, and that a queue's message gives it back."""

import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin import traces
from tocsin.bus.memory import MemoryBus
from tocsin.traces import Trace

GIVEN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (GIVEN, GIVEN),
        (f"  {GIVEN} ", GIVEN),
        ("cc" + GIVEN[2:] + "-what-comes-later", GIVEN),
        ("cc" + GIVEN[2:] + ".what-comes-later", None),
        (GIVEN + "-more", None),
        ("ff" + GIVEN[2:], None),
        (GIVEN.upper(), None),
        ("00-" + "0" * 32 + GIVEN[35:], None),
        (GIVEN[:36] + "0" * 16 + "-01", None),
        (GIVEN[:-1], None),
        ("", None),
        (None, None),
        ("{} %s \0", None),
    ],
)
def test_a_traceparent_is_read_as_the_standard_says(header: str | None, read: str | None) -> None:
    assert traces.read(header) == read


def test_a_new_trace_is_valid_and_its_own() -> None:
    made = {traces.begin() for _ in range(100)}
    assert len(made) == 100
    assert all(traces.read(one) == one for one in made)


@given(st.lists(st.sampled_from([GIVEN, OTHER, None]), max_size=300))
def test_what_is_packed_for_a_queue_comes_out_as_it_was(given_traces: list[str | None]) -> None:
    ids = [f"a{number}" for number in range(len(given_traces))]
    told = {i: Trace(t) for i, t in zip(ids, given_traces, strict=True) if t is not None}
    text = traces.pack(ids, told)
    assert traces.unpack(ids, text) == told
    runs = 1 + sum(a != b for a, b in pairwise(given_traces))
    assert len(text) <= runs * 60, "one entry for each run, not for each alert"


@given(st.one_of(st.text(), st.integers(), st.binary(), st.none(), st.lists(st.text())))
def test_a_strange_header_is_no_trace_and_no_error(text: object) -> None:
    assert all(traces.read(one) for one in traces.unpack(["a", "b"], text).values())


@pytest.mark.parametrize("text", [f"{GIVEN}*99999999999", f"{GIVEN}*-1", f"{GIVEN}*²", f"{GIVEN}"])
def test_an_impossible_count_is_no_trace(text: str) -> None:
    assert traces.unpack(["a"], text) == {}


def test_a_log_line_names_one_trace_or_a_bounded_list() -> None:
    assert traces.fields(()) == {}
    assert traces.fields((Trace(GIVEN),)) == {"trace_id": GIVEN[3:35]}
    many = traces.fields(tuple(traces.begin() for _ in range(300)))
    assert many["traces"] == 300
    assert len(many["trace_ids"]) == traces.LOGGED
    assert many["trace_id"] == many["trace_ids"][0]


async def test_the_bus_in_memory_carries_traces_beside_the_ids() -> None:
    bus = MemoryBus()
    await bus.ring("q", ["a", "b"], {"a": Trace(GIVEN)})
    (delivery,) = await bus.take("q", 10)
    assert delivery.ids == ["a", "b"]
    assert delivery.traces == {"a": GIVEN}


def test_without_the_extra_everything_works_and_an_endpoint_is_refused_with_the_remedy() -> None:
    program = """
import sys
sys.modules["opentelemetry"] = None
from tocsin import app, traces
from tocsin.errors import SettingsError
traces.export("")()
traces.record("triage", (traces.begin(),), 1, 2, count=1)
try:
    traces.export("http://127.0.0.1:9/v1/traces")
except SettingsError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "pip install 'tocsin[otel]'" in done.stdout
