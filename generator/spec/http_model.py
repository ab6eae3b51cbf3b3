"""The model of a destination of kind ``http``."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, WrapValidator

from changelane.contract.destination import PRIVATE
from changelane.generator.spec.codes import Code
from changelane.generator.spec.model import Model
from changelane.generator.spec.scalars import Integer, Rate, Size, Text, read_text, refuse, show
from changelane.generator.spec.secret_models import (
    PLACES,
    REFERENCE,
    Address,
    Secret,
    SecretPlace,
    Tls,
    describe_url,
    read_url,
)

_HTTP = r"^https?://[A-Za-z0-9.\[\]:_-]+(/[!-~]*)?$"
HttpUrl = Annotated[Address, read_url(_HTTP, "https://api.example.com/hook"), describe_url(_HTTP)]

_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$"
_OUR_HEADERS = {
    "connection", "content-length", "content-type", "expect", "host", "te", "trailer", "transfer-encoding",
    "upgrade", "webhook-id", "webhook-signature", "webhook-timestamp",
}  # fmt: skip
_SECRET_HEADERS = re.compile(r"auth|cookie|token|secret|password|signature|api-?key", re.IGNORECASE)


def _read_headers(value: dict[str, Secret | str]) -> dict[str, Secret | str]:
    for name, content in value.items():
        if not re.fullmatch(_HEADER, name):
            raise refuse(Code.BAD_NAME, f"must be names of headers, which {show(name)} is not")
        if name.lower() in _OUR_HEADERS:
            raise refuse(Code.BAD_VALUE, f"cannot set {name}, which Changelane sets", fix=f"delete `{name}`")
        if isinstance(content, str) and _SECRET_HEADERS.search(name):
            raise refuse(Code.NO_SECRETS, f"hold a secret in {name}", fix=REFERENCE)
        if isinstance(content, str) and not (content.isascii() and content.isprintable()):
            raise refuse(Code.BAD_VALUE, f"must hold printable ASCII, which that of {name} is not")
    return value


def _read_header(value: object, validate: Callable[[object], Secret]) -> Secret | str:
    return read_text(value) if isinstance(value, str) else validate(value)


Header = Annotated[
    Secret | str,
    WrapValidator(_read_header),
    WithJsonSchema({"oneOf": [{"type": "string"}, PLACES]}),
]


def _read_range(value: object) -> str:
    text = read_text(value)
    if text == PRIVATE:
        return text
    try:
        return str(ip_network(text))
    except ValueError:
        raise refuse(
            Code.BAD_VALUE, f"must be ranges as 10.0.0.0/8 or fd00::/8, or `{PRIVATE}`, not {show(text)}"
        ) from None


Range = Annotated[str, BeforeValidator(_read_range), WithJsonSchema({"type": "string", "minLength": 1})]


class Sign(Model):
    """How requests are signed."""

    standard_webhooks: tuple[SecretPlace, ...] = Field(
        min_length=1,
        description="Secrets of Standard Webhooks (whsec_...). Each signs, so that a receiver can go "
        "from one to the next.",
        examples=[[{"env": "HOOK_SECRET"}]],
    )


class Http(Model):
    """A receiver of POST requests. An answer of 2xx confirms a message; redirects are not followed."""

    url: HttpUrl = Field(
        description="Where to post; or {env: NAME}, for a URL that is a secret.",
        examples=["https://api.example.com/hook"],
    )
    sign: Sign | None = Field(None, description="Sign each request.")
    headers: Annotated[dict[Text, Header], AfterValidator(_read_headers)] = Field(
        {},
        description="Sent with each request. A secret is written as {env: NAME}.",
        examples=[{"Authorization": {"env": "HOOK_AUTH"}}],
    )
    tls: Tls | None = Field(None, description="Files, with https://.")
    concurrency: Integer = Field(16, ge=1, le=1000, description="Requests at once, in each worker process.")
    rate: Rate | None = Field(
        None, description="At most so many requests in that time, in each worker process.", examples=["50/s"]
    )
    max_body: Size = Field(
        1_000_000, description="A message whose body is longer is a dead letter.", examples=["256 kB"]
    )
    allow: tuple[Range, ...] = Field(
        (),
        description="Ranges of addresses to which connections may go; private stands for all that are not "
        "public. Default: all.",
        examples=[["10.1.0.0/16"]],
    )
    deny: tuple[Range, ...] = Field(
        (), description="Ranges to which none may go, whatever `allow` says.", examples=[["private"]]
    )
