"""Tokens and shares: who is let in, who is not, and what a file that changes does."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.access import Access, RateLimit, Tokens
from serving.status import Code, ServingError

FIRST, SECOND = "first-token-0123456789", "second-token-0123456789"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# who may ask\n{FIRST}\n\n")
    return path


def refused(call, *arguments):
    with pytest.raises(ServingError) as caught:
        call(*arguments)
    return caught.value


def test_a_known_token_has_a_name_that_does_not_give_it_away(file):
    name = Tokens(file).owner(f"Bearer {FIRST}")
    assert re.fullmatch("[0-9a-f]{12}", name)
    assert Tokens(file).owner(f"bearer  {FIRST}") == name


@pytest.mark.parametrize(
    "header", [None, "", FIRST, "Bearer", "Bearer ", "Basic " + FIRST, f"Bearer {FIRST} x", "Bearer \udcff\udcff"]
)
def test_without_a_token_nobody_is_let_in(file, header):
    error = refused(Tokens(file).owner, header)
    assert str(error) == "UNAUTHENTICATED: Send a token: the header Authorization: Bearer TOKEN."


@given(st.text(st.characters(codec="ascii", exclude_categories=["Z", "C"]), min_size=1))
def test_any_other_token_is_refused_and_not_repeated(tmp_path_factory, token):
    path = tmp_path_factory.getbasetemp() / "known"
    path.write_text(FIRST)
    error = refused(Tokens(path).owner, f"Bearer {token}x")
    assert str(error) == "UNAUTHENTICATED: The token is not known to this server."


def test_a_token_that_is_added_or_removed_counts_at_once(file):
    tokens = Tokens(file)
    refused(tokens.owner, f"Bearer {SECOND}")
    file.write_text(f"{SECOND}\n")
    os.utime(file, ns=(1, 1))
    tokens.owner(f"Bearer {SECOND}")
    refused(tokens.owner, f"Bearer {FIRST}")


@pytest.mark.parametrize("text", ["", "short\n", "two words of many letters\n", None])
def test_a_file_that_went_bad_locks_nobody_out(file, text, caplog):
    tokens = Tokens(file)
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
        os.utime(file, ns=(1, 1))
    tokens.owner(f"Bearer {FIRST}")
    assert "the tokens stay as they were" in caplog.text
    assert FIRST not in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"# none\n", "no token in it. Write one a line."),
        (b"\n0123456789\n", "a token must have at least 16 characters and no blanks."),
        (b"\xff\xfe\n", "cannot read the tokens: it is not UTF-8."),
        (None, "cannot read the tokens: No such file or directory."),
    ],
)
def test_a_server_does_not_start_with_a_file_it_cannot_use(tmp_path, text, message):
    path = tmp_path / "tokens"
    if text is not None:
        path.write_bytes(text)
    error = refused(Tokens, path)
    assert error.code is Code.FAILED_PRECONDITION
    assert error.message.endswith(message)
    assert error.message.startswith(str(path))


def test_each_client_has_its_own_share():
    rate = RateLimit("3/hour")
    for _ in range(3):
        rate.count("a")
    error = refused(rate.count, "a")
    assert str(error) == "RESOURCE_EXHAUSTED: More than 3 per 1 hour for one client. Ask more slowly."
    rate.count("b")


@pytest.mark.parametrize("limit", ["many", "0/second", "-1/second", "5/fortnight", "1/second;9/hour", ""])
def test_a_limit_that_cannot_be_meant_is_refused(limit):
    assert refused(RateLimit, limit).message.endswith(f"Received: {limit}")


def test_with_tokens_a_share_belongs_to_the_token_and_not_to_the_address(file):
    access = Access(Tokens(file), RateLimit("1/hour"))
    access.admit(f"Bearer {FIRST}", "10.0.0.1")
    assert refused(access.admit, f"Bearer {FIRST}", "10.0.0.2").code is Code.RESOURCE_EXHAUSTED
    assert refused(access.admit, None, "10.0.0.3").code is Code.UNAUTHENTICATED
    assert Access().open
    assert not access.open
