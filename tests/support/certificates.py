"""Certificates of an authority that the test makes, by openssl."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificates:
    """PEM files: an authority, and certificate and key of a server at 127.0.0.1 and of a client."""

    ca: str
    server: tuple[str, str]
    client: tuple[str, str]

    def make_client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(*self.client)
        return context


def make_certificates(folder: Path) -> Certificates:
    folder.mkdir(exist_ok=True)
    _run(
        folder,
        "req",
        "-x509",
        "-days",
        "2",
        "-subj",
        "/CN=Test authority",
        *_make_key("ca"),
        "-out",
        "ca.pem",
    )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        _run(folder, "req", "-subj", f"/CN={name}", *_make_key(name), "-out", f"{name}.csr")
        _run(
            folder, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem",
        )  # fmt: skip
    pairs = [(str(folder / f"{name}.pem"), str(folder / f"{name}.key")) for name in ("server", "client")]
    return Certificates(str(folder / "ca.pem"), *pairs)


def _make_key(name: str) -> list[str]:
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    return [*curve, "-nodes", "-keyout", f"{name}.key"]


def _run(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
