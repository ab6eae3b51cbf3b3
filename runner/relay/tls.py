"""How connections are encrypted, for engines whose clients take a context of Python's ``ssl``."""

from __future__ import annotations

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
