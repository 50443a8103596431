"""Secrets at rest: they open for what they were sealed for, with any key there is, and for nothing else."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.encryption import KEY_ID_BYTES, NONCE_BYTES, Sealer, SealError, TwoKeySeal
from infra.settings import read
from tests.builders import SECRET_KEY

OLD, NEW = "an old key of encryption 0123456789", "a new key of encryption 0123456789"
THING = UUID(int=7)


@given(st.binary(max_size=2_000), st.text(max_size=20), st.uuids())
def test_what_is_sealed_opens_again(plain: bytes, purpose: str, thing: UUID):
    sealed = Sealer([NEW]).seal(plain, purpose, thing)
    assert Sealer([NEW]).open(sealed, purpose, thing) == plain


def test_a_seal_is_another_one_each_time():
    sealer = Sealer([NEW])
    sealed = {sealer.seal(b"DE89", "payout", THING) for _ in range(200)}
    assert len(sealed) == 200
    assert len({s[1 + KEY_ID_BYTES :][:NONCE_BYTES] for s in sealed}) == 200


def test_nothing_of_what_was_sealed_can_be_read():
    assert b"0532013000" not in Sealer([NEW]).seal(b"DE89370400440532013000", "payout", THING)


def test_it_opens_for_no_other_thing_and_no_other_purpose():
    sealer = Sealer([NEW])
    sealed = sealer.seal(b"mine", "payout", THING)
    for purpose, thing in (("payout", uuid4()), ("payou", THING), ("", THING)):
        with pytest.raises(SealError):
            sealer.open(sealed, purpose, thing)


def test_every_byte_of_a_seal_counts():
    sealer = Sealer([NEW])
    sealed = sealer.seal(b"mine", "payout", THING)
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SealError):
            sealer.open(bytes(changed), "payout", THING)


@pytest.mark.parametrize("length", [0, 1, 9, 20, 21, 30])
def test_half_a_seal_is_none(length: int):
    sealer = Sealer([NEW])
    with pytest.raises(SealError):
        sealer.open(sealer.seal(b"mine", "payout", THING)[:length], "payout", THING)


def test_the_first_key_seals_and_all_of_them_open():
    before, after = Sealer([OLD]).seal(b"mine", "payout", THING), Sealer([NEW, OLD]).seal(b"mine", "payout", THING)
    for sealed in (before, after):
        assert Sealer([NEW, OLD]).open(sealed, "payout", THING) == b"mine"
    assert Sealer([NEW]).open(after, "payout", THING) == b"mine"
    with pytest.raises(SealError, match="a key we don't have"):
        Sealer([NEW]).open(before, "payout", THING)


def test_a_key_that_is_set_later_leaves_what_the_secret_key_sealed_readable():
    known = {"DATABASE_URL": "postgresql://host/db", "REDIS_URL": "redis://host"}
    first = read({**known, "SECRET_KEY": SECRET_KEY})
    sealed = Sealer(first.encryption_secrets()).seal(b"mine", "payout", THING)
    later = read({**known, "SECRET_KEY": SECRET_KEY, "ENCRYPTION_KEYS": f"{NEW}, {OLD}"})
    assert later.encryption_secrets() == (NEW, OLD, SECRET_KEY)
    assert Sealer(later.encryption_secrets()).open(sealed, "payout", THING) == b"mine"
    # The secret key itself changes: its old value goes last.
    moved = read({**known, "SECRET_KEY": NEW, "ENCRYPTION_KEYS": f"{OLD},{SECRET_KEY}"})
    assert Sealer(moved.encryption_secrets()).open(sealed, "payout", THING) == b"mine"


def test_an_error_quotes_nothing_of_what_was_sealed():
    sealed = Sealer([OLD]).seal(b"mine", "payout", THING)
    for sealer, thing in ((Sealer([NEW]), THING), (Sealer([OLD]), uuid4())):
        with pytest.raises(SealError) as caught:
            sealer.open(sealed, "payout", thing)
        for secret in (sealed.hex(), repr(sealed), OLD, NEW, "mine"):
            assert secret not in str(caught.value)


# --- Sealed with a text of the client's as well -------------------------------------------------------------------


def test_what_is_sealed_for_two_opens_with_both_alone():
    seal = TwoKeySeal(OLD, b"the client's key")
    mark = seal.mark(b"a request")
    sealed = seal.seal(b"an answer", mark)
    assert TwoKeySeal(OLD, b"the client's key").open(sealed, mark) == b"an answer"
    assert b"an answer" not in sealed
    others = [TwoKeySeal(NEW, b"the client's key"), TwoKeySeal(OLD, b"the client's kez"), TwoKeySeal(OLD, b"")]
    for other in others:
        assert other.mark(b"a request") != mark
        with pytest.raises(SealError):
            other.open(sealed, mark)


def test_what_is_sealed_for_two_opens_for_its_own_mark_and_unchanged():
    seal = TwoKeySeal(OLD, b"the client's key")
    mark = seal.mark(b"a request")
    sealed = seal.seal(b"an answer", mark)
    for changed, about in ((sealed, seal.mark(b"another")), (sealed[:-1], mark), (b"", mark), (sealed[::-1], mark)):
        with pytest.raises(SealError):
            seal.open(changed, about)


def test_a_mark_tells_texts_apart_and_nothing_of_them():
    seal = TwoKeySeal(OLD, b"k")
    marks = {seal.mark(text) for text in (b"", b"a", b"b", b"a" * 1_000)}
    assert len(marks) == 4
    assert {len(mark) for mark in marks} == {16}
