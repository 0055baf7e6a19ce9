"""An entry comes back as it was, or not at all."""

import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.money import Money
from orchestrator.memo.entry import Entry, EntryDamaged, Needs, decode, encode

KEY = "ab" * 32


def entry(**more):
    facts = {
        "key": KEY,
        "kind": "model",
        "step": "plan",
        "tenant": "acme",
        "user": None,
        "created_s": 1_700_000_000.25,
        "reply": b"reply",
        "model": "small",
        "confidence": 0.9,
        "confidence_state": "calibrated",
        "checks": frozenset({"schema", "form"}),
        "reads": {"catalog": "v1"},
        "labels": frozenset({"private"}),
        "cost": Money(123_456),
        "tokens": 17,
        "seconds": 1.5,
    }
    return Entry(**(facts | more))


@given(
    reply=st.binary(max_size=300),
    step=st.text(),
    confidence=st.none() | st.floats(0, 1),
    reads=st.dictionaries(st.text(), st.text(), max_size=3),
    nano=st.integers(0, 10**18),
)
def test_comes_back_as_it_was(reply, step, confidence, reads, nano):
    one = entry(
        reply=reply,
        step=step,
        user=step or None,
        confidence=confidence,
        reads=reads,
        cost=Money(nano),
    )
    assert decode(encode(one), KEY) == one


@given(st.data())
def test_any_changed_byte_is_noticed(data):
    body = bytearray(encode(entry()))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(EntryDamaged):
        decode(bytes(body), KEY)


@given(st.integers(0, len(encode(entry())) - 1))
def test_any_cut_is_noticed(length):
    with pytest.raises(EntryDamaged):
        decode(encode(entry())[:length], KEY)


def test_an_entry_under_another_key_is_refused():
    with pytest.raises(EntryDamaged, match="another key"):
        decode(encode(entry()), "cd" * 32)


@pytest.mark.parametrize("facts", [b"{}", b"[]", b"[1]", b"null", b"not json"])
def test_facts_of_another_shape_are_refused(facts):
    length = len(facts).to_bytes(4, "big")
    checksum = zlib.crc32(length + facts).to_bytes(4, "big")
    with pytest.raises(EntryDamaged, match="facts"):
        decode(b"OMEM\x01" + checksum + length + facts, KEY)


def test_serves_only_steps_whose_needs_it_meets():
    assert Needs().unmet_by(entry(confidence=None)) is None
    assert Needs(confidence=0.9).unmet_by(entry()) is None
    assert "below" in Needs(confidence=0.91).unmet_by(entry())
    assert "no confidence" in Needs(confidence=0.1).unmet_by(entry(confidence=None))
    assert Needs(checks=frozenset({"schema"})).unmet_by(entry()) is None
    unmet = Needs(checks=frozenset({"tests", "schema"})).unmet_by(entry())
    assert unmet == "unchecked: tests"


@pytest.mark.parametrize(
    "change",
    [
        *({"step": 3}, {"tenant": None}, {"user": 5}, {"model": 5}, {"kind": None}),
        *({"created_s": "now"}, {"created_s": None}, {"confidence": "high"}, {"confidence": 1.5}),
        *({"reads": {"catalog": 3}}, {"labels": [1]}, {"checks": [["a"]]}),
        *({"cost": -1}, {"cost": "0"}, {"cost": 10**18 + 1}, {"tokens": -1}, {"tokens": 1.5}),
        *({"seconds": -1.0}, {"seconds": "1"}, {"seconds": None}),
    ],
)
def test_facts_that_cannot_be_are_damage_although_the_checksum_holds(change):
    if "cost" in change:
        change = {"cost": SimpleNamespace(nano=change["cost"])}
    with pytest.raises(EntryDamaged):
        decode(encode(entry(**change)), KEY)


@pytest.mark.parametrize("facts", [b"{}", b"[]", b"7", b"null"])
def test_facts_that_are_no_list_of_all_are_damage(facts):
    length = len(facts).to_bytes(4, "big")
    body = b"OMEM\x01" + zlib.crc32(facts, zlib.crc32(length)).to_bytes(4, "big") + length + facts
    with pytest.raises(EntryDamaged):
        decode(body, KEY)
