"""Known vulnerabilities of requirements.lock, by pip-audit.

Exits 1 for a vulnerability. It counts what it could not look up (there may be no network).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements.lock"
SECONDS = 120


def main() -> int:
    command = [
        sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes", "--disable-pip",
        "--format", "json", "--progress-spinner", "off",
    ]  # fmt: skip
    try:
        run = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        packages = json.loads(run.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError):
        print(f"audit: no package of {LOCK.name} could be looked up: offline?")
        return 0
    found = [package for package in packages if package.get("vulns")]
    for package in found:
        for one in package["vulns"]:
            fixed = ", ".join(one["fix_versions"]) or "none yet"
            print(f"{package['name']} {package['version']}: {one['id']}; fixed in {fixed}: run `make lock`")
    looked = sum("skip_reason" not in package for package in packages)
    print(
        f"audit: {looked} packages looked up, {len(packages) - looked} could not be, {len(found)} vulnerable"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
