"""Signatures, as the receivers' own package verifies them."""

from __future__ import annotations

import base64
import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from changelane.runner.relay.standard_webhooks import read_secret, sign

OLD = "whsec_" + base64.b64encode(bytes(range(24))).decode()
NEW = "whsec_" + base64.b64encode(bytes(range(64))).decode()
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()


@given(
    body=st.text(st.characters(exclude_categories=["Cs"])).map(json.dumps),
    id=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200),
)
def test_receivers_verify_with_either_secret_of_a_rotation(body: str, id: str) -> None:
    headers = sign(body.encode(), id=id, at=int(time.time()), secrets=[read_secret(OLD), read_secret(NEW)])
    assert headers["webhook-id"].isascii()
    assert "." not in headers["webhook-id"]
    for secret in (OLD, NEW):
        Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(f"{body} ", headers)


def test_the_id_of_a_change_stays_as_it_is() -> None:
    id = "767-17959201222845428810860504454610"
    headers = sign(b"{}", id=id, at=1_700_000_000, secrets=[read_secret(OLD)])
    assert headers["webhook-id"] == id
    assert headers["webhook-timestamp"] == "1700000000"


def test_an_old_request_is_refused() -> None:
    headers = sign(b"{}", id="1", at=int(time.time()) - 3600, secrets=[read_secret(OLD)])
    with pytest.raises(WebhookVerificationError, match="old"):
        Webhook(OLD).verify("{}", headers)


@pytest.mark.parametrize("text", [OLD, OLD.removeprefix("whsec_"), f"v1,{OLD}", f" {OLD}\n"])
def test_a_secret_is_read_with_and_without_its_prefix(text: str) -> None:
    content = os.urandom(40)
    assert read_secret(text).sign(content) == read_secret(OLD).sign(content)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_not base64!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "whsec_é",
    ],
)
def test_values_that_are_no_secrets_are_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="it ") as caught:
        read_secret(text)
    encoded = text.removeprefix("whsec_")
    assert not encoded or encoded not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_secret_never_shows_its_key() -> None:
    secret = read_secret(OLD)
    assert repr(secret) == str(secret) == "Secret(...)"
