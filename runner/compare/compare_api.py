"""Compares the declared API with schema ``pgmq_public``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from changelane.contract.access import API_SCHEMA
from changelane.contract.manifest import Api, Manifest
from changelane.runner.compare.compare_functions import list_callers
from changelane.runner.compare.object import Object
from changelane.runner.live.observe import Observed
from changelane.runner.live.rights import Rights
from changelane.text import spell_name


def compare_api(manifest: Manifest, observed: Observed) -> Iterator[Object]:
    """The state of schema ``pgmq_public``, if it is declared or belongs to the project."""
    api, live = manifest.api, observed.rights.api
    make = partial(Object, kind="api", name=API_SCHEMA)
    marker = live.marker if live else None
    if api is None:
        yield from find_api(manifest.project, observed)
        return
    if live is None:
        yield make(state="missing", detail=_list_roles(api), action="create")
    elif marker is None and live.comment is None and live.complete and live.owned:
        yield make(state="drifted", detail="its comment was removed", action="replace")
    elif marker is None:
        yield make(state="foreign", detail="it exists and is not Changelane's: left as it is")
    elif marker.project != manifest.project:
        wrong = ", ".join(_find_wrong_grants(manifest, api, observed.rights))
        detail = f"of project {marker.project}: used, not owned"
        if wrong:
            yield make(state="drifted", detail=f"{detail}; {wrong}", action="set")
        else:
            yield make(state="ok", detail=detail)
    elif live.live != marker.live and marker.pg == observed.session.server:
        yield make(state="drifted", detail="its functions were changed", action="replace")
    elif live.live != marker.live or marker.spec != api.spec:
        yield make(state="outdated", detail="its functions change", action="replace")
    elif wrong := ", ".join(_find_wrong_grants(manifest, api, observed.rights)):
        yield make(state="drifted", detail=wrong, action="set")
    else:
        yield make(state="ok")


def find_api(project: str, observed: Observed) -> Iterator[Object]:
    """The schema as an orphan, if it belongs to the project and no role of another project uses it."""
    live = observed.rights.api
    others = _find_other_roles(project, observed.rights)
    used = live is not None and any(role in others for role, _, _ in live.grants)
    if live and live.marker and live.marker.project == project and not used:
        yield Object(
            kind="api", name=API_SCHEMA, state="orphaned", detail="no longer declared", action="drop"
        )


def _list_roles(api: Api) -> str:
    return f"open to {', '.join(map(spell_name, api.grants)) or 'nobody'}"


def _find_wrong_grants(manifest: Manifest, api: Api, rights: Rights) -> Iterator[str]:
    assert rights.api is not None
    others = _find_other_roles(manifest.project, rights)
    found = {
        (role, privilege, name)
        for role, privilege, name in rights.api.grants
        if role not in others or role in api.grants
    }
    wanted = {
        (role, "EXECUTE" if name else "USAGE", name)
        for role, names in api.grants.items()
        for name in ("", *names)
    }
    for role, privilege, name in sorted(wanted - found):
        yield f"{spell_name(role)} may not {_spell(privilege, name)}"
    for role, privilege, name in sorted(found - wanted):
        if role not in others:
            yield f"{spell_name(role) if role else 'PUBLIC'} may {_spell(privilege, name)}"


def _find_other_roles(project: str, rights: Rights) -> set[str]:
    """Roles to which other projects give access to some queue."""
    return list_callers(rights, other_than=project) | {
        role
        for policy in rights.policies
        if policy.marker and policy.marker.project != project
        for role in policy.roles
    }


def _spell(privilege: str, name: str) -> str:
    if privilege == "CREATE":
        return "create in it"
    return f"execute {name}" if name else "use it"
