"""Every table is tampered with, and the proof of the books tells it."""

from __future__ import annotations

import pytest

from books import AT, accept, hold, micro, pay, proof
from multivideo.ledger import book
from multivideo.ledger.records import AttemptState, Budget
from multivideo.ledger.rows import GENESIS, link
from multivideo.ledger.store import Db, Store


@pytest.fixture
def store() -> Store:
    """Books with something of every kind."""
    store = Store(None)

    def work(db: Db) -> None:
        book.add_budget(db, Budget(id="coast", amount=micro(10_000), tags={"project": "coast"}), now_ms=0)
        pay(db, "spent before there were funds", 60)
        book.fund(db, micro(1_000), "November", **AT)
        pay(db, "paid", 80, tags={"project": "coast"})
        pay(db, "dear", 150, tags={"project": "coast"})
        pay(db, "assumed", certainty="assumed")
        book.resolve(db, "assumed", "not_charged", by="ops", note="seen", **AT)
        pay(db, "refunded")
        book.refund(db, "refunded", micro(30), note="half", **AT)
        hold(db, "void")
        book.void(db, "void", AttemptState.VOID, "never sent", **AT)
        accept(db, "open", tags={"project": "coast"})

    store.write(work)
    return store


TAMPERED = {
    "UPDATE entries SET amount_micro = 59 WHERE number = 2": "entry 2 is not as it was written",
    "UPDATE entries SET at_ms = 1 WHERE number = 3": "entry 3 is not as it was written",
    "UPDATE entries SET note = 'other' WHERE kind = 'fund'": "is not as it was written",
    "UPDATE entries SET by_whom = 'me' WHERE number = 1": "entry 1 is not as it was written",
    "DELETE FROM entries WHERE number BETWEEN 2 AND 3": "entries 2 to 3 are missing",
    "DELETE FROM entries WHERE number = (SELECT MAX(number) FROM entries)": "attempt open",
    "UPDATE balances SET micro = micro + 1 WHERE account = 'wallet'": "the balance of wallet is",
    "DELETE FROM balances WHERE account = 'spent:veo'": "the balance of spent:veo is 0.00 USD",
    "INSERT INTO balances VALUES ('spent:nobody', 5)": "the balance of spent:nobody is 0.000005 USD",
    "UPDATE attempts SET held_micro = 99 WHERE id = 'open'": "attempt open: 0.000099 USD was held",
    "UPDATE attempts SET charge_micro = 1 WHERE id = 'paid'": "attempt paid: 0.000001 USD was charged",
    "UPDATE attempts SET state = 'failed' WHERE id = 'void'": "attempt void is failed",
    "UPDATE attempts SET state = 'accepted', ended_ms = NULL WHERE id = 'paid'": "attempt paid is accepted",
    "UPDATE attempts SET state = 'succeeded', ended_ms = 1 WHERE id = 'open'": "attempt open is succeeded",
    "UPDATE attempts SET ended_ms = NULL WHERE id = 'paid'": "attempt paid is succeeded",
    "UPDATE attempts SET certainty = 'reported' WHERE id = 'open'": "attempt open: its cost is reported",
    "UPDATE attempts SET provider = 'kling' WHERE id = 'paid'": "attempt paid: 0.00008 USD was charged",
    "UPDATE budget_use SET micro = micro - 1": "the use of budget 'coast' (ever) is",
    "DELETE FROM budget_use": "the use of budget 'coast' (ever) is 0.00 USD",
    "DELETE FROM budget_holds WHERE attempt_id = 'open'": "the use of budget 'coast' (ever) is",
    "UPDATE jobs SET tags = '{}' WHERE id = 'paid'": "job paid: its tags",
    "DELETE FROM job_tags WHERE job_id = 'open'": "job open: its tags",
    "UPDATE meta SET value = 'no' WHERE name = 'live'": "entry 1 is of live vendors, its books are not",
}


def test_books_that_were_only_written_by_the_rules_have_no_difference(store: Store) -> None:
    assert proof(store) == []


@pytest.mark.parametrize(("statement", "told"), TAMPERED.items())
def test_whatever_is_tampered_with_is_told(store: Store, statement: str, told: str) -> None:
    def tamper(db: Db) -> None:
        db.all("DROP TRIGGER entries_stay")
        db.all("DROP TRIGGER entries_last")
        db.all(statement)

    store.write(tamper)
    assert told in "\n".join(proof(store))


def test_a_chain_that_was_made_again_by_a_careful_hand_still_leaves_its_sums(store: Store) -> None:
    def tamper(db: Db) -> None:
        db.all("DROP TRIGGER entries_stay")
        db.all("UPDATE entries SET amount_micro = 1 WHERE kind = 'fund'")
        chain = GENESIS
        for row in db.all("SELECT * FROM entries ORDER BY number"):
            chain = link(chain, row[:-1])
            db.all("UPDATE entries SET chain = :chain WHERE number = :number", chain=chain, number=row[0])

    store.write(tamper)
    found = proof(store)
    assert not any("not as it was written" in line for line in found)
    assert any("the balance of wallet" in line for line in found)
    assert any("the balance of funding" in line for line in found)
