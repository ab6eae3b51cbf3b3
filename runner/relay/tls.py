"""How connections are encrypted, for engines whose clients take a context of Python's ``ssl``."""

from __future__ import annotations

import re
import ssl

from changelane.contract.destination import Tls
from changelane.runner.relay.engine import Misconfigured


def make_tls_context(tls: Tls | None) -> ssl.SSLContext:
    """A context that verifies the server. Raises Misconfigured for files that cannot be read."""
    tls = tls or Tls()
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key)
    except OSError as error:
        named = ", ".join(path for path in (tls.ca, tls.cert, tls.key) if path)
        reason = error.strerror or str(error).partition("\n")[0]
        raise Misconfigured(f"the files of tls cannot be used ({named}): {reason}") from None
    return context


def find_refusal(error: BaseException | str) -> str:
    """Why one side does not trust the other, by an error of TLS or its text; empty where it is another error.

    The text of the server's alert is all that clients pass on of it.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of the server is not trusted: {error.verify_message}"
    text = str(error).partition("\n")[0]
    if "verify failed" in text.lower():
        return f"the certificate of the server is not trusted: {text}"
    if _CLIENT.search(text):
        return f"the server does not trust the certificate of the client: {text}"
    return ""


_CLIENT = re.compile(
    r"alert[ _](certificate[ _]required|bad[ _]certificate|unknown[ _]ca|handshake[ _]failure)", re.IGNORECASE
)
