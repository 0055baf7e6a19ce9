from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.money import Money
from orchestrator.ledger.bookkeeping.rules import judge
from orchestrator.ledger.records import Account, Demand
from orchestrator.ledger.stores.rows import AccountRow

ACCOUNT = Account("team", "acme/research", "total")
AMOUNTS = st.integers(0, 20)


def judged(need, *, limit=10, withheld=0, settled=0, reserved=0, disputed=0):
    row = AccountRow(1, ACCOUNT.key, settled, reserved, disputed)
    return judge(need, row, Demand(ACCOUNT, Money(limit), Money(withheld)))


def test_what_fits_beside_everything_booked_is_granted():
    assert judged(10) == "grant"
    assert judged(4, settled=3, reserved=2, disputed=1) == "grant"


def test_what_fits_once_holds_come_back_waits():
    assert judged(5, settled=3, reserved=2, disputed=1) == "wait"
    assert judged(6, settled=3, reserved=2, disputed=1) == "wait"


def test_what_fits_never_is_refused():
    assert judged(7, settled=3, reserved=2, disputed=1) == "refuse"
    assert judged(11) == "refuse"


def test_what_is_disputed_is_not_waited_for():
    assert judged(1, disputed=10) == "refuse"
    assert judged(1, reserved=10) == "wait"


def test_what_is_withheld_is_not_waited_for():
    assert judged(8, withheld=2) == "grant"
    assert judged(9, withheld=2) == "refuse"
    assert judged(9, withheld=2, reserved=5) == "refuse"


def test_overrun_takes_nothing_from_a_budget():
    row = AccountRow(1, ACCOUNT.key, overrun=1_000)

    assert judge(10, row, Demand(ACCOUNT, Money(10))) == "grant"


@given(st.tuples(*[AMOUNTS] * 6))
def test_only_a_grant_keeps_the_promise_and_only_what_returns_is_waited_for(amounts):
    need, limit, withheld, settled, reserved, disputed = amounts
    verdict = judged(
        need,
        limit=limit,
        withheld=withheld,
        settled=settled,
        reserved=reserved,
        disputed=disputed,
    )

    fits_now = settled + disputed + reserved + need <= limit - withheld
    fits_later = settled + disputed + need <= limit - withheld
    assert (verdict == "grant") is fits_now
    assert (verdict == "wait") is (fits_later and not fits_now)
