"""A dashboard process, and a visitor who keeps its cookie."""

from __future__ import annotations

import html
import http.client
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit


@dataclass(kw_only=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str
    url: str = ""

    @property
    def words(self) -> str:
        """The visible text of the page, on one line."""
        body = re.sub(r"<(script|style|title)\b.*?</\1>", " ", self.text, flags=re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.text)
        assert found, self.text
        return found[1]


@dataclass(kw_only=True)
class Panel:
    """``cookie`` is what the visitor sends; ``headers`` go with every request; ``invitation`` is the path of
    the one-time address, or empty.
    """

    process: subprocess.Popen[str]
    host: str
    port: int
    log: Path
    cookie: str = ""
    invitation: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> str:
        return f"http://{self.host}:{self.port}"

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        sent = {"Accept": "text/html", **self.headers, **(headers or {})}
        if self.cookie and "Cookie" not in sent:
            sent["Cookie"] = self.cookie
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if baked := response.headers.get("Set-Cookie"):
            self.cookie = baked.partition(";")[0]
        found = {name.lower(): value for name, value in response.headers.items()}
        return Answer(status=response.status, headers=found, text=text, url=path)

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def open(self, path: str) -> Answer:
        """The page, which must be there."""
        answer = self.get(path)
        assert answer.status == 200, f"{path}: {answer.status} {answer.words}"
        return answer

    def post(self, path: str, *, on: str = "/queues", **fields: str | Sequence[str]) -> Answer:
        """Post like a browser from the page ``on``, with its token, and follow redirects."""
        values = {"csrf": self.open(on).csrf, **fields}
        answer = self.send(path, values)
        return self.open(answer.headers["location"]) if answer.status == 303 else answer

    def confirm(self, asked: Answer) -> Answer:
        """Press the button of the page that asks for confirmation, with the fields that it holds."""
        main = asked.text[asked.text.index("<main") :]
        found = re.search(r'<form method="post" action="([^"]+)">(.*?)</form>', main, re.DOTALL)
        assert found, asked.words
        fields: dict[str, list[str]] = {}
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', found[2]):
            fields.setdefault(html.unescape(name), []).append(html.unescape(value))
        answer = self.send(html.unescape(found[1]), fields)
        return self.open(answer.headers["location"]) if answer.status == 303 else answer

    def send(self, path: str, values: Mapping[str, Any], **headers: str) -> Answer:
        """Post a form without a page's token. ``headers`` replace those of a browser."""
        said = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin, **headers}
        return self.ask("POST", path, body=urlencode(values, doseq=True), headers=said)

    def wait(self, path: str, condition: Callable[..., Any], *, seconds: float = 30) -> Answer:
        """Request the page until the condition holds."""
        deadline = time.monotonic() + seconds
        while True:
            answer = self.get(path)
            if condition(answer):
                return answer
            assert time.monotonic() < deadline, answer.words
            time.sleep(0.1)


@contextmanager
def open_panel(
    folder: Path, url: str, *arguments: str, env: Mapping[str, str] | None = None
) -> Iterator[Panel]:
    """A dashboard on a free port, with a visitor who took its one-time address; killed unless it has ended.

    With ``--no-token`` or a token of the test's own, the visitor has no session yet.
    """
    log = folder / "dashboard.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "changelane", "dashboard", "--port", "0", *arguments],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "DATABASE_URL": url, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, said + log.read_text()
        parts = urlsplit(found[0])
        assert parts.port
        panel = Panel(process=process, host="127.0.0.1", port=parts.port, log=log)
        if "--no-token" not in arguments and "CHANGELANE_DASHBOARD_TOKEN" not in (env or {}):
            panel.invitation = process.stdout.readline().split()[1].removeprefix(panel.origin)
            panel.get(panel.invitation)
        yield panel
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
