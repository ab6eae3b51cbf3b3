"""The HTTP engine against a receiver that answers with any status, slowly, or not at all."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from support.http_receiver import Answer, Receiver, Request, run_receiver
from support.webhook_engine import make_batch, open_engine, post, sign_by

from changelane.contract.destination import Relay
from changelane.runner.relay.engine import Misconfigured, Outcome, Outgoing, Unavailable
from changelane.runner.relay.http_answers import LONGEST_PAUSE, judge, read_retry_after

OLD, NEW = "whsec_" + "A" * 32, "whsec_" + "B" * 44
SECRETIVE = "s3cr3t-of-the-path"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as found:
        yield found


def test_a_message_is_posted_with_its_headers_and_confirmed_by_2xx(receiver: Receiver) -> None:
    body = '{"v": 1.50, "é": "ü"}'.encode()
    message = Outgoing(
        id="7-1", address="", body=body, headers={"content-type": "a/b", "traceparent": "00-1"}
    )
    with open_engine(receiver.url, headers={"X-Tenant": "7"}) as engine:
        for status in (200, 201, 202, 204, 299):
            receiver.decide = lambda request, status=status: Answer(status)
            assert post(engine, [message]) == [Outcome("confirmed")]
    request = receiver.requests[0]
    assert (request.method, request.path, request.body) == ("POST", "/hook", body)
    sent = {name: request.headers[name] for name in ("content-type", "traceparent", "x-tenant", "user-agent")}
    assert sent == {
        "content-type": "a/b", "traceparent": "00-1", "x-tenant": "7", "user-agent": "changelane",
    }  # fmt: skip
    assert "webhook-id" not in request.headers


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, "refused") for status in (400, 402, 404, 405, 409, 413, 415, 422, 451)),
        *((status, "unavailable") for status in (408, 425, 429, 502, 503, 504)),
        *((status, "misconfigured") for status in (301, 302, 303, 307, 308, 401, 403, 407, 410)),
        *((status, "failed") for status in (500, 501, 507, 599)),
    ],
)
def test_each_status_has_its_meaning(status: int, kind: str) -> None:
    outcome = judge(status, {}, b"no such\ncustomer")
    assert outcome.kind == kind
    assert outcome.text.startswith(f"it answers {status} (no such customer)")


def test_the_receivers_answer_is_shortened_to_one_line() -> None:
    text = judge(400, {}, b"\x1b[31m\r\n" + b"x" * 5000 + b"\xff").text
    assert text.isprintable()
    assert len(text) < 250


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("1e9", LONGEST_PAUSE), ("nan", None), ("soon", None), ("", None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_is_read(text: str, seconds: float | None) -> None:
    assert read_retry_after(text) == seconds


def test_retry_after_may_be_a_date() -> None:
    at = datetime.now(UTC) + timedelta(seconds=60)
    seconds = read_retry_after(format_datetime(at, usegmt=True))
    assert seconds is not None
    assert 55 < seconds <= 61


def test_a_throttled_message_says_how_long_to_wait(receiver: Receiver) -> None:
    receiver.decide = lambda request: Answer(429, headers={"Retry-After": "7"})
    with open_engine(receiver.url) as engine:
        (outcome,) = post(engine)
    assert (outcome.kind, outcome.after) == ("unavailable", 7.0)


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    target = f"{receiver.url}/elsewhere?token={SECRETIVE}"
    receiver.decide = lambda request: Answer(307, headers={"Location": target})
    with open_engine(receiver.url) as engine:
        (outcome,) = post(engine)
    assert outcome.kind == "misconfigured"
    assert "redirects are not followed" in outcome.text
    assert "/hook/elsewhere" in outcome.text
    assert SECRETIVE not in outcome.text
    assert len(receiver.requests) == 1


def test_each_message_of_a_batch_has_its_own_outcome(receiver: Receiver) -> None:
    def decide(request: Request) -> Answer:
        number = int(request.headers["webhook-id"].removeprefix("7-"))
        return Answer({3: 400, 5: 500, 7: 503}.get(number, 200), after=0.001 * (number % 3))

    receiver.decide = decide
    with open_engine(receiver.url, sign=sign_by("HOOK")) as engine, environment(HOOK=OLD):
        kinds = [outcome.kind for outcome in post(engine, make_batch(9))]
    expected = {3: "refused", 5: "failed", 7: "unavailable"}
    assert kinds == [expected.get(number, "confirmed") for number in range(9)]


def test_receivers_verify_the_signature_with_either_secret_of_a_rotation(receiver: Receiver) -> None:
    sign = sign_by("HOOK_OLD", "HOOK_NEW")
    with open_engine(receiver.url, sign=sign) as engine, environment(HOOK_OLD=OLD, HOOK_NEW=NEW):
        post(engine, make_batch(2, body=b'{"a": 1.50}'))
    for request in receiver.requests:
        for secret in (OLD, NEW):
            Webhook(secret).verify(request.body, request.headers)
    assert {request.headers["webhook-id"] for request in receiver.requests} == {"7-0", "7-1"}


def test_connections_are_used_again_and_no_more_than_allowed(receiver: Receiver) -> None:
    receiver.decide = lambda request: Answer(400 if "3" in request.headers["x-n"] else 200, after=0.01)
    batch = [
        Outgoing(id=str(number), address="", body=b"{}", headers={"x-n": str(number)}) for number in range(40)
    ]
    with open_engine(receiver.url, concurrency=4) as engine:
        for _ in range(3):
            post(engine, batch)
    assert receiver.most_at_once == 4
    assert len({request.connection for request in receiver.requests}) == 4
    assert len(receiver.requests) == 120


def test_an_endless_answer_is_not_read_to_its_end(receiver: Receiver) -> None:
    receiver.decide = lambda request: Answer(200, body=b"x" * 50_000_000)
    with open_engine(receiver.url) as engine:
        assert post(engine, make_batch(3)) == [Outcome("confirmed")] * 3


def test_requests_keep_to_the_rate(receiver: Receiver) -> None:
    with open_engine(receiver.url, rate=50.0) as engine:
        # A busy machine may delay the arrival of the first request, so its arrival is no beginning.
        began = time.monotonic()
        for _ in range(2):
            post(engine, make_batch(10))
    last = max(request.at for request in receiver.requests)
    assert last - began >= 19 / 50 - 0.05


def test_a_large_body_is_the_fault_of_its_message(receiver: Receiver) -> None:
    with open_engine(receiver.url, max_body=100) as engine:
        (outcome,) = post(engine, make_batch(body=b"x" * 101))
        assert post(engine, make_batch(body=b"x" * 100)) == [Outcome("confirmed")]
    assert outcome == Outcome("refused", "101 bytes, and `max_body` is 100 bytes")
    assert len(receiver.requests) == 1


def test_a_receiver_that_is_away_is_unavailable_and_found_again(receiver: Receiver) -> None:
    with open_engine(receiver.url) as engine:
        engine.connect(timeout=20)
        assert post(engine) == [Outcome("confirmed")]
        receiver.close()
        assert {outcome.kind for outcome in post(engine, make_batch(3))} == {"unavailable"}
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:\d+ cannot be reached"):
            engine.connect(timeout=20)
        receiver.open()
        engine.connect(timeout=20)
        assert post(engine) == [Outcome("confirmed")]


def test_a_receiver_that_cuts_connections_is_unavailable(receiver: Receiver) -> None:
    receiver.decide = lambda request: Answer(abort=True)
    with open_engine(receiver.url) as engine:
        (outcome,) = post(engine)
    assert outcome.kind == "unavailable"


def test_a_receiver_that_never_answers_is_unavailable(receiver: Receiver) -> None:
    receiver.decide = lambda request: Answer(after=600)
    with open_engine(receiver.url) as engine:
        outcomes = post(engine, make_batch(3), timeout=0.5)
    assert {outcome.kind for outcome in outcomes} == {"unavailable"}
    assert "did not answer within 0.5 s" in outcomes[0].text


def test_a_message_that_alone_gets_no_answer_uses_up_an_attempt(receiver: Receiver) -> None:
    slow = {"7-0"}
    receiver.decide = lambda request: Answer(after=600 if request.headers["id"] in slow else 0.05)
    batch = [Outgoing(id=f"7-{n}", address="", body=b"{}", headers={"id": f"7-{n}"}) for n in range(60)]
    with open_engine(receiver.url, concurrency=2) as engine:
        kinds = [outcome.kind for outcome in post(engine, batch, timeout=2.0)]
    # The others are answered until long after it was sent.
    assert kinds == ["failed", *["confirmed"] * 59]


def test_closing_ends_requests_at_once(receiver: Receiver) -> None:
    receiver.decide = lambda request: Answer(after=600)
    outcomes: list[Outcome] = []
    with open_engine(receiver.url) as engine:
        thread = threading.Thread(target=lambda: outcomes.extend(post(engine, make_batch(2), timeout=300)))
        thread.start()
        until = time.monotonic() + 30
        while len(receiver.requests) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    thread.join(30)
    assert [outcome.kind for outcome in outcomes] == ["unavailable"] * 2


def test_an_engine_that_was_closed_opens_again(receiver: Receiver) -> None:
    with open_engine(receiver.url) as engine:
        assert post(engine) == [Outcome("confirmed")]
        engine.close()
        assert post(engine) == [Outcome("confirmed")]


@contextmanager
def environment(**values: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


@pytest.mark.parametrize(
    ("options", "values", "says"),
    [
        ({"url": {"env": "HOOK_URL"}}, {}, "HOOK_URL"),
        ({"url": {"env": "HOOK_URL"}}, {"HOOK_URL": f"ftp://{SECRETIVE}"}, "http://"),
        ({"url": {"env": "HOOK_URL"}}, {"HOOK_URL": f"https://me:{SECRETIVE}@host/"}, "user and password"),
        ({"url": {"env": "HOOK_URL"}}, {"HOOK_URL": f"https://host:99999/{SECRETIVE}"}, "http://"),
        ({"sign": sign_by("HOOK")}, {"HOOK": SECRETIVE}, "HOOK"),
        ({"headers": {"Authorization": {"env": "AUTH"}}}, {"AUTH": f"{SECRETIVE}\r\nX: y"}, "Authorization"),
        ({"headers": {"Authorization": {"env": "AUTH"}}}, {}, "AUTH"),
        ({"tls": {"ca": "/nowhere/ca.pem"}}, {}, "/nowhere/ca.pem"),
    ],
)
def test_wrong_environment_variables_are_reported_and_not_shown(
    receiver: Receiver, options: dict[str, Any], values: dict[str, str], says: str
) -> None:
    with environment(**values), open_engine(receiver.url, **options) as engine:
        with pytest.raises(Misconfigured, match=says) as caught:
            engine.connect(timeout=5)
        (outcome,) = post(engine)
        assert outcome.kind == "misconfigured"
        for text in (str(caught.value), caught.value.fix, outcome.text):
            assert SECRETIVE not in text
    assert receiver.requests == []


def test_no_error_shows_the_path_or_the_headers(receiver: Receiver) -> None:
    url = receiver.url.replace("/hook", f"/{SECRETIVE}?key={SECRETIVE}")
    values = {"URL": url, "AUTH": SECRETIVE}
    options = {"url": {"env": "URL"}, "headers": {"Authorization": {"env": "AUTH"}}}
    texts = []
    with environment(**values), open_engine("", **options) as engine:
        assert post(engine) == [Outcome("confirmed")]
        for answer in (Answer(500), Answer(abort=True), Answer(after=600)):
            receiver.decide = lambda request, answer=answer: answer
            texts += [outcome.text for outcome in post(engine, timeout=0.5)]
        receiver.close()
        texts += [outcome.text for outcome in post(engine)]
        with pytest.raises(Unavailable) as caught:
            engine.connect(timeout=5)
        texts.append(str(caught.value))
    assert len(texts) == 5
    assert all(texts)
    assert SECRETIVE not in "".join(texts)
    assert receiver.requests[0].headers["authorization"] == SECRETIVE
    assert receiver.requests[0].path == f"/{SECRETIVE}?key={SECRETIVE}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own for 127.0.0.1, and its key, in one file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", path, "-out", path.with_suffix(".crt")],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


def test_a_server_is_verified(certificate: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with run_receiver(tls=context) as receiver:
        with open_engine(receiver.url) as engine:
            (outcome,) = post(engine)
        assert outcome.kind == "misconfigured"
        assert "not trusted: self-signed certificate" in outcome.text
        assert receiver.requests == []
        with open_engine(receiver.url, tls={"ca": str(certificate)}) as engine:
            assert post(engine) == [Outcome("confirmed")]
        wrong = receiver.url.replace("127.0.0.1", "localhost")
        with open_engine(wrong, tls={"ca": str(certificate)}) as engine:
            (outcome,) = post(engine)
        assert outcome.kind == "misconfigured"
        with open_engine(receiver.url.replace("https", "http")) as engine:
            (outcome,) = post(engine)
        assert outcome.kind in ("unavailable", "failed")


def test_secrets_that_leave_unencrypted_are_a_finding(receiver: Receiver) -> None:
    relay = Relay.model_validate({"to": "hook"})
    with environment(HOOK=OLD):
        for url, count in (("http://hooks.example/", 1), ("https://hooks.example/", 0), (receiver.url, 0)):
            with open_engine(url, sign=sign_by("HOOK")) as engine:
                assert len(engine.check(relay, lease=60, timeout=5)) == count
