"""Logins to engines: each kind that the spec offers, against real servers."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import nkeys
import pytest
from support.kafka_broker import run_tansu
from support.nats_server import run_nats
from support.relays import open_engine

from changelane.contract.destination import Relay
from changelane.runner.relay.engine import Misconfigured, Outgoing

PATIENCE = 60.0
RELAY = Relay(to="there", subject="shop.things", timeout=PATIENCE)
MESSAGE = Outgoing(id="id-1", address="shop.things", body=b"{}", headers={"id": "id-1"})


def make_pair(prefix: int) -> tuple[bytes, nkeys.KeyPair]:
    """Seed and key of NATS."""
    seed = bytes(nkeys.encode_seed(os.urandom(32), prefix))
    return seed, nkeys.from_seed(bytearray(seed))


def sign_token(issuer: nkeys.KeyPair, subject: str, name: str, **claims: Any) -> str:
    """A JWT of NATS. Source: the NATS documentation, "JWT", and the library jwt/v2."""
    content = {
        "iat": int(time.time()), "iss": issuer.public_key.decode(), "name": name, "sub": subject,
        "nats": {"version": 2, **claims},
    }  # fmt: skip
    content["jti"] = (
        base64.b32encode(hashlib.sha256(json.dumps(content).encode()).digest()).decode().rstrip("=")
    )
    parts = [{"typ": "JWT", "alg": "ed25519-nkey"}, content]
    text = ".".join(encode(json.dumps(part).encode()) for part in parts)
    return f"{text}.{encode(issuer.sign(text.encode()))}"


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def try_to_publish(described: dict[str, Any]) -> str:
    with open_engine(described) as engine:
        try:
            engine.connect(timeout=PATIENCE)
        except Misconfigured as error:
            return f"misconfigured: {error}"
        (outcome,) = engine.publish([MESSAGE], relay=RELAY)
        return f"{outcome.kind}: {outcome.text}".removesuffix(": ")


def write_secret(folder: Path, text: str) -> dict[str, str]:
    path = folder / f"secret-{len(list(folder.iterdir()))}"
    path.write_text(f"{text}\n")
    return {"file": str(path)}


def test_a_token_opens_nats(tmp_path: Path) -> None:
    with run_nats(tmp_path / "nats", "--auth", "right", connect={"token": "right"}) as server:
        server.add_stream("SHOP", "shop.>")
        there = {"servers": [server.url]}
        assert try_to_publish({"nats": {**there, "token": write_secret(tmp_path, "right")}}) == "confirmed"
        for login in ({"token": write_secret(tmp_path, "wrong-and-secret")}, {}):
            said = try_to_publish({"nats": {**there, **login}})
            assert said.startswith("misconfigured: "), said
            assert "refuses the login" in said
            assert "wrong-and-secret" not in said


def test_an_nkey_opens_nats(tmp_path: Path) -> None:
    seed, pair = make_pair(nkeys.PREFIX_BYTE_USER)
    other, _ = make_pair(nkeys.PREFIX_BYTE_USER)
    config = tmp_path / "nats.conf"
    config.write_text(f"authorization {{ users = [ {{ nkey: {pair.public_key.decode()} }} ] }}\n")
    connect = {"nkeys_seed_str": seed.decode()}
    with run_nats(tmp_path / "nats", "--config", str(config), connect=connect) as server:
        server.add_stream("SHOP", "shop.>")
        for text, expected in ((seed.decode(), "confirmed"), (other.decode(), "misconfigured: ")):
            described = {"nats": {"servers": [server.url], "nkey": write_secret(tmp_path, text)}}
            said = try_to_publish(described)
            assert said.startswith(expected), said
            assert other.decode() not in said
        said = try_to_publish({"nats": {"servers": [server.url], "nkey": write_secret(tmp_path, "no seed")}})
        assert said.startswith("misconfigured: "), said
        assert "no seed" not in said


def test_a_credentials_file_opens_nats(tmp_path: Path) -> None:
    _, operator = make_pair(nkeys.PREFIX_BYTE_OPERATOR)
    _, account = make_pair(nkeys.PREFIX_BYTE_ACCOUNT)
    _, system = make_pair(nkeys.PREFIX_BYTE_ACCOUNT)
    seed, user = make_pair(nkeys.PREFIX_BYTE_USER)
    names = [pair.public_key.decode() for pair in (operator, account, user, system)]
    everything = dict.fromkeys(
        ["subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage",
         "streams", "consumer"], -1,
    )  # fmt: skip
    owner = sign_token(operator, names[0], "operator", type="operator")
    limits = {**everything, "wildcards": True}
    tenant = sign_token(operator, names[1], "account", type="account", limits=limits)
    warden = sign_token(operator, names[3], "system", type="account")
    member = sign_token(account, names[2], "relay", type="user", subs=-1, data=-1, payload=-1)
    credentials = tmp_path / "relay.creds"
    credentials.write_text(
        f"-----BEGIN NATS USER JWT-----\n{member}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
    )
    config = tmp_path / "nats.conf"
    config.write_text(
        f"operator: {owner}\nsystem_account: {names[3]}\nresolver: MEMORY\n"
        f"resolver_preload: {{ {names[1]}: {tenant}, {names[3]}: {warden} }}\n"
    )
    connect = {"user_credentials": str(credentials)}
    with run_nats(tmp_path / "nats", "--config", str(config), connect=connect) as server:
        server.add_stream("SHOP", "shop.>")
        place = {"file": str(credentials)}
        assert try_to_publish({"nats": {"servers": [server.url], "credentials": place}}) == "confirmed"
        stranger = write_secret(tmp_path, credentials.read_text().replace(member, sign_token(
            make_pair(nkeys.PREFIX_BYTE_ACCOUNT)[1], names[2], "relay", type="user", subs=-1
        )))  # fmt: skip
        for place in (stranger, write_secret(tmp_path, "no credentials")):
            said = try_to_publish({"nats": {"servers": [server.url], "credentials": place}})
            assert said.startswith("misconfigured: "), said
            assert seed.decode() not in said


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"])
def test_kafka_says_that_a_login_is_refused(mechanism: str, tmp_path: Path) -> None:
    login = {"security": "sasl_plaintext", "mechanism": mechanism, "username": "relay"}
    with run_tansu("--authentication") as address:
        described = {"servers": [address], **login, "password": write_secret(tmp_path, "wrong-and-secret")}
        said = try_to_publish({"kafka": described})
    assert said.startswith("misconfigured: "), said
    assert "refuse the login" in said
    assert "wrong-and-secret" not in said
