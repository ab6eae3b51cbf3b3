"""The manifest of a project, read again when its file changes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from changelane.contract.digest import find_change
from changelane.contract.manifest import Capture, Consumer, Manifest, Queue, load_manifest, read_files
from changelane.errors import ManifestError

SUFFIX = "_dlq"
"""Suffix of dead-letter queues that no manifest declares."""

NOTHING = Manifest(project="changelane", files={}, queues=(), captures=(), consumers=())
"""Used if there is no manifest."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A manifest as it was read. ``why`` is the error if there is none; ``stale`` says what changed in the
    spec since.
    """

    manifest: Manifest | None
    why: str = ""
    fix: str = ""
    stale: str = ""

    @property
    def project(self) -> str:
        return self.manifest.project if self.manifest else ""

    @property
    def queues(self) -> Mapping[str, Queue]:
        return {queue.name: queue for queue in self.manifest.queues} if self.manifest else {}

    @property
    def consumers(self) -> Mapping[str, Consumer]:
        return {consumer.queue: consumer for consumer in self.manifest.consumers} if self.manifest else {}

    @property
    def routes(self) -> Mapping[str, tuple[Capture, ...]]:
        """The captures of each route, by the route's name."""
        found: dict[str, tuple[Capture, ...]] = {}
        for capture in self.manifest.captures if self.manifest else ():
            found[capture.route] = (*found.get(capture.route, ()), capture)
        return dict(sorted(found.items()))

    def letters(self, names: frozenset[str]) -> Mapping[str, str]:
        """Source queue to dead-letter queue for ``names``: as declared, else by the suffix."""
        found = {name.removesuffix(SUFFIX): name for name in names if name.endswith(SUFFIX)}
        found = {source: letters for source, letters in found.items() if source in names}
        for queue in self.queues.values():
            if queue.dead_letter:
                found[queue.name] = queue.dead_letter
        for consumer in self.consumers.values():
            found[consumer.queue] = consumer.dead_letter
        return dict(sorted(found.items()))


class Project:
    """The folder ``sql_out/`` of a project; ``out`` need not exist."""

    def __init__(self, out: Path, *, spec: Path) -> None:
        self.out = out
        self.spec = spec
        self._lock = threading.Lock()
        self._stamp: tuple[tuple[int, int] | None, ...] = ()
        self._declared = Declared(None)

    def read(self) -> Declared:
        """The present manifest."""
        with self._lock:
            stamp = (_look(self.out / "manifest.json"), _look(self.spec))
            if stamp[0] is None or stamp != self._stamp:
                self._declared = self._load()
                self._stamp = stamp
            return self._declared

    def read_sql(self, route: str) -> str:
        """The reviewed SQL of a route. Raises ManifestError if one of its files is not as generated."""
        manifest = self.read().manifest
        captures = self.read().routes.get(route, ())
        names = dict.fromkeys(capture.function_step.file for capture in captures)
        if manifest is None or not names:
            raise ManifestError(
                f"the manifest names no file of route {route}", fix="run `changelane generate`"
            )
        only = manifest.model_copy(update={"files": {name: manifest.files[name] for name in names}})
        files = read_files(only, self.out)
        return "\n".join(files[name].decode() for name in names)

    def _load(self) -> Declared:
        try:
            manifest = load_manifest(self.out)
            change = find_change(self.spec, manifest, out=self.out)
            return Declared(manifest, stale=f"{change.what}: {change.fix}" if change else "")
        except ManifestError as error:
            return Declared(None, why=error.what, fix=error.fix)
        except OSError as error:
            return Declared(None, why=f"{self.out}: {error.strerror}", fix="run `changelane generate`")


def _look(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size)
