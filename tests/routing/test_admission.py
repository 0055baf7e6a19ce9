"""Who may leave next: concurrency, turns, rates and full queues, without waiting."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.models.rates import Allowance, Rate, RateReport, RateSettings
from orchestrator.routing.admission import PATIENCE, Admission, LaneFull, LaneSettings, Ticket
from orchestrator.routing.meters import Meter


def ticket(lane="heavy", tenant="a", priority=0, meters=(), tokens=1):
    return Ticket(lane=lane, tenant=tenant, priority=priority, meters=meters, tokens=tokens)


def one_at_a_time(**more):
    return Admission({"heavy": LaneSettings(concurrency=1, **more)})


def serve(admission, tickets, now=0.0):
    """Let those who wait through one at a time; their order."""
    served = []
    waiting = list(tickets)
    while waiting:
        (up,) = [one for one in waiting if one.admitted]
        served.append(up)
        waiting.remove(up)
        admission.leave(up, now)
    return served


def test_no_more_are_under_way_than_the_lane_allows():
    admission = Admission({"heavy": LaneSettings(concurrency=2)})
    tickets = [ticket() for _ in range(4)]
    for one in tickets:
        admission.enter(one, 0)

    assert [one.admitted for one in tickets] == [True, True, False, False]
    admission.leave(tickets[0], 1)
    assert [one.admitted for one in tickets] == [True, True, True, False]


def test_one_lane_does_not_wait_for_another():
    lanes = {name: LaneSettings(concurrency=1) for name in ("heavy", "light")}
    admission = Admission(lanes)
    tickets = [ticket("heavy"), ticket("heavy"), ticket("light"), ticket(None), ticket(None)]
    for one in tickets:
        admission.enter(one, 0)

    assert [one.admitted for one in tickets] == [True, False, True, True, True]


def test_a_full_queue_says_no_at_once():
    admission = one_at_a_time(queue=2)
    for _ in range(3):
        admission.enter(ticket(), 0)

    with pytest.raises(LaneFull, match="'heavy' is full: 1 under way and 2 waiting"):
        admission.enter(ticket(), 0)
    assert admission.waiting("heavy") == 2


def test_who_stops_waiting_leaves_its_place_to_others():
    admission = one_at_a_time(queue=1)
    first, second, third = ticket(), ticket(), ticket()
    admission.enter(first, 0)
    admission.enter(second, 0)
    admission.leave(second, 0)
    admission.enter(third, 0)
    admission.leave(first, 0)

    assert third.admitted
    assert not second.admitted


def test_the_higher_priority_goes_first_and_then_who_came_first():
    admission = one_at_a_time()
    tickets = [ticket(priority=p) for p in (0, -1, 0, 1, 1)]
    for one in tickets:
        admission.enter(one, 0)

    assert [one.number for one in serve(admission, tickets)] == [0, 3, 4, 2, 1]


def test_a_tenant_with_many_does_not_keep_out_one_with_few():
    admission = one_at_a_time()
    tickets = [ticket(tenant="many") for _ in range(6)] + [ticket(tenant="few") for _ in range(2)]
    for one in tickets:
        admission.enter(one, 0)

    served = [one.tenant for one in serve(admission, tickets)]

    assert served[:5] == ["many", "few", "many", "few", "many"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.randoms(use_true_random=False))
def test_tenants_who_all_wait_get_their_shares(weights, draw):
    shares = {str(n): weight for n, weight in enumerate(weights)}
    admission = one_at_a_time(shares=shares)
    tickets = [ticket(tenant=tenant) for tenant in shares for _ in range(40)]
    draw.shuffle(tickets)
    for one in tickets:
        admission.enter(one, 0)

    served = Counter(one.tenant for one in serve(admission, tickets)[:40])

    turns = 40 / sum(weights)
    for tenant, weight in shares.items():
        assert abs(served[tenant] - weight * turns) <= weight + PATIENCE / 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(-1, 1)), min_size=1, max_size=12),
    st.integers(1, 3),
)
def test_nobody_waits_for_ever_behind_what_matters_more(crowd, stream):
    """One of no priority waits while ever more of high priority arrive."""
    admission = one_at_a_time()
    tickets = [ticket(priority=1)]
    tickets += [ticket(tenant=tenant, priority=priority) for tenant, priority in crowd]
    tickets.append(patient := ticket(tenant="z", priority=-9))
    for one in tickets:
        admission.enter(one, 0)
    for _ in range(PATIENCE * (len(crowd) + 2)):
        arriving = [ticket(priority=1) for _ in range(stream)]
        for one in arriving:
            admission.enter(one, 0)
        tickets += arriving
        (running,) = [one for one in tickets if one.admitted]
        tickets.remove(running)
        admission.leave(running, 0)
        if patient.admitted:
            break
    assert patient.admitted


def rate(requests=None, tokens=None):
    return RateSettings(
        None if requests is None else Rate(requests), None if tokens is None else Rate(tokens)
    )


def metered(settings, lanes=("heavy",), concurrency=9):
    admission = Admission({name: LaneSettings(concurrency=concurrency) for name in lanes})
    admission.meters["m"] = Meter.of(settings, 0)
    return admission


def test_requests_leave_at_their_rate():
    admission = metered(rate(requests=2))
    tickets = [ticket(meters=("m",)) for _ in range(4)]
    for one in tickets:
        admission.enter(one, 0)

    assert [one.admitted for one in tickets] == [True, True, False, False]
    assert admission.wait_s(tickets[2], 0) == pytest.approx(30)
    assert admission.wait_s(tickets[3], 0) is None
    admission.dispatch(29)
    assert not tickets[2].admitted
    admission.dispatch(30)
    assert [one.admitted for one in tickets] == [True, True, True, False]


def test_what_was_estimated_too_high_is_given_back():
    admission = metered(rate(tokens=100))
    first, second = ticket(meters=("m",), tokens=90), ticket(meters=("m",), tokens=60)
    admission.enter(first, 0)
    admission.enter(second, 0)
    assert not second.admitted

    admission.leave(first, 0, used=40)

    assert second.admitted


def test_what_was_never_sent_costs_nothing():
    admission = metered(rate(requests=1, tokens=10))
    first, second = (ticket(meters=("m",), tokens=10) for _ in range(2))
    admission.enter(first, 0)
    admission.enter(second, 0)

    admission.leave(first, 0, used=None)

    assert second.admitted


def test_one_that_needs_more_than_there_ever_is_leaves_when_all_is_there_and_is_paid_off():
    admission = metered(rate(tokens=60))
    big, small = ticket(meters=("m",), tokens=180), ticket(meters=("m",), tokens=1)
    admission.enter(big, 0)
    admission.enter(small, 0)

    assert big.admitted
    assert admission.wait_s(small, 0) == pytest.approx(121)


def test_small_ones_do_not_starve_a_big_one_from_another_lane():
    admission = metered(rate(tokens=60), lanes=("heavy", "light"))
    admission.enter(ticket(meters=("m",), tokens=60), 0)
    admission.enter(big := ticket("heavy", meters=("m",), tokens=60), 0)
    for now in range(1, 60):
        admission.enter(small := ticket("light", meters=("m",), tokens=1), now)
        assert not small.admitted
    admission.dispatch(60)
    assert big.admitted


def test_what_matters_more_takes_the_rate_over():
    admission = metered(rate(tokens=60))
    admission.enter(ticket(meters=("m",), tokens=60), 0)
    admission.enter(low := ticket(meters=("m",), tokens=30), 0)
    admission.enter(high := ticket(meters=("m",), tokens=10, priority=1), 0)
    admission.dispatch(10)

    assert high.admitted
    assert not low.admitted


def test_two_meters_are_taken_together_or_not_at_all():
    admission = metered(rate(tokens=60))
    admission.meters["n"] = Meter.of(rate(tokens=60), 0)
    both = {"meters": ("m", "n"), "tokens": 60}
    admission.enter(ticket(**both), 0)
    admission.enter(first := ticket(**both), 0)
    admission.enter(second := ticket(meters=("n", "m"), tokens=60), 0)
    admission.enter(only := ticket(meters=("n",), tokens=60), 0)

    for now, expected in ((60, first), (120, second), (180, only)):
        admission.dispatch(now)
        assert expected.admitted
    assert admission.meters["m"].wait_s(60, 180) == 0


def test_a_full_lane_keeps_no_rate_for_itself():
    admission = metered(rate(requests=1), lanes=("heavy", "light"), concurrency=1)
    admission.enter(ticket("heavy"), 0)
    admission.enter(ticket("light", meters=("m",)), 0)
    waits = ticket("heavy", meters=("m",))
    admission.enter(waits, 0)

    assert admission.wait_s(waits, 0) is None
    assert admission.wait_s(waits, 60) is None


def test_a_lane_that_fills_up_lets_its_claims_go():
    admission = metered(rate(requests=1), lanes=("heavy", "light"), concurrency=1)
    admission.enter(ticket(None, meters=("m",)), 0)
    admission.enter(waits := ticket("heavy", meters=("m",)), 0)
    assert admission.wait_s(waits, 0) == pytest.approx(60)
    admission.enter(ticket("heavy"), 0)
    admission.enter(other := ticket("light", meters=("m",)), 0)
    admission.dispatch(60)

    assert other.admitted
    assert not waits.admitted


def test_waiting_for_one_model_does_not_hold_back_its_provider():
    admission = metered(rate(tokens=60))
    admission.meters["provider"] = Meter.of(rate(tokens=600), 0)
    admission.enter(ticket(meters=("m", "provider"), tokens=60), 0)
    admission.enter(waits := ticket(meters=("m", "provider"), tokens=60), 0)
    admission.enter(other := ticket(meters=("provider",), tokens=60), 0)

    assert not waits.admitted
    assert other.admitted


def test_who_could_leave_but_for_another_does_not_look_again_and_again():
    admission = metered(rate(tokens=60))
    admission.meters["n"] = Meter.of(rate(tokens=60), 0)
    admission.enter(ticket(meters=("m",), tokens=60), 0)
    admission.enter(ticket(meters=("n",), tokens=30), 0)
    admission.enter(both := ticket(meters=("m", "n"), tokens=10), 0)
    admission.enter(large := ticket(meters=("n",), tokens=60), 0)

    admission.dispatch(10)
    assert admission.wait_s(both, 10) is None
    assert admission.wait_s(large, 10) == pytest.approx(20)

    changed = admission.dispatch(30)
    assert large.admitted
    assert both in changed
    assert admission.wait_s(both, 30) == pytest.approx(10)


def test_what_one_lane_frees_another_gets_at_once():
    """A claim ends with the admission of who held it, also for a lane that was asked before."""
    for lanes in (("heavy", "light"), ("light", "heavy")):
        admission = metered(rate(tokens=60), lanes=lanes)
        admission.enter(ticket("heavy", meters=("m",), tokens=60), 0)
        admission.enter(first := ticket("heavy", meters=("m",), tokens=30), 0)
        admission.enter(second := ticket("light", meters=("m",), tokens=30), 0)
        admission.dispatch(60)

        assert first.admitted
        assert second.admitted


def test_a_pause_the_provider_asked_for_holds_everything_back():
    admission = metered(rate(requests=100))
    admission.pause("m", 20, 0)
    admission.enter(one := ticket(meters=("m",)), 0)

    assert admission.wait_s(one, 0) == 20
    admission.dispatch(20)
    assert one.admitted


def test_what_a_provider_says_is_left_is_all_that_leaves():
    admission = metered(None)
    admission.enter(out := ticket(meters=("m",)), 0)
    report = RateReport(requests=Allowance(limit=60, remaining=3, reset_s=57))
    admission.told("m", report, 0)  # one of the three is on its way already
    tickets = [ticket(meters=("m",)) for _ in range(3)]
    for one in tickets:
        admission.enter(one, 0)

    assert [one.admitted for one in tickets] == [True, True, False]
    assert admission.wait_s(tickets[2], 0) == pytest.approx(1)
    admission.leave(out, 0, used=5)
    assert not tickets[2].admitted


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["heavy", "light", None]),
            st.sampled_from("abc"),
            st.integers(-1, 1),
            st.sampled_from([(), ("m",), ("n",), ("m", "n"), ("n", "m")]),
            st.integers(1, 90),
        ),
        min_size=1,
        max_size=25,
    ),
    st.randoms(use_true_random=False),
)
def test_whoever_enters_leaves_in_the_end(asked, draw):
    """Whatever comes, in whatever order it ends: the lanes hold, and nobody is forgotten."""
    lanes = {"heavy": LaneSettings(concurrency=1), "light": LaneSettings(concurrency=3)}
    admission = Admission(lanes)
    admission.meters |= {"m": Meter.of(rate(5, 100), 0), "n": Meter.of(rate(7, 60), 0)}
    tickets = [
        Ticket(lane=lane, tenant=tenant, priority=priority, meters=meters, tokens=tokens)
        for lane, tenant, priority, meters, tokens in asked
    ]
    now, waiting, running = 0.0, [], []
    coming = list(tickets)
    for _ in range(2_000):
        if coming and draw.random() < 0.5:
            waiting.append(coming.pop())
            admission.enter(waiting[-1], now)
        elif running and draw.random() < 0.5:
            done = running.pop(draw.randrange(len(running)))
            admission.leave(done, now, used=draw.choice([None, 0, done.tokens, 2 * done.tokens]))
        else:
            now += draw.random() * 30
            admission.dispatch(now)
        running += [one for one in waiting if one.admitted]
        waiting = [one for one in waiting if not one.admitted]
        for one in waiting:  # looking again at once would be looking again for ever
            pause = admission.wait_s(one, now)
            assert pause is None or pause > 0
        for name, settings_of in lanes.items():
            assert sum(one.lane == name for one in running) <= settings_of.concurrency
        if not (coming or waiting or running):
            break
    assert (coming, waiting, running) == ([], [], [])
    for meter in admission.meters.values():
        assert (meter.requests_out, meter.tokens_out) == (0, 0)
