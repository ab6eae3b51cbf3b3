"""Pictures of the dashboard at work, for the README: ``make screenshots`` writes docs/images/.

A server of its own runs the shop of ``examples/shop`` under a small load, so that the pages have something to
show.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from playwright.sync_api import sync_playwright  # noqa: E402
from support.dashboard import open_panel  # noqa: E402

from changelane.runner.live.database import connect  # noqa: E402
from changelane.runner.local import server  # noqa: E402
from changelane.runner.operate.pause import pause, resume  # noqa: E402

IMAGES = ROOT / "docs" / "images"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 860}
SHOTS = (
    ("overview", "/", DESK, "light"),
    ("overview-dark", "/", DESK, "dark"),
    ("queue", "/queues/{queue}", DESK, "light"),
    ("dead-letters", "/dead-letters/{queue}", DESK, "light"),
    ("phone", "/queues/{queue}", PHONE, "dark"),
)
QUEUE = "paid_orders"
SECONDS = 60.0
SELL = """
    WITH sold AS (
        INSERT INTO shop.orders (customer_id, status, total)
        VALUES (1, CASE WHEN random() < 0.7 THEN 'paid' ELSE 'open' END, 5 + floor(random() * 90))
        RETURNING id, total
    )
    INSERT INTO shop.order_items
    SELECT id, 1, (ARRAY['lamp', 'chair', 'desk'])[1 + floor(random() * 3)], 1, total FROM sold
"""
SPOIL = """
    SELECT pgmq.send('paid_orders', jsonb_build_object('op', 'update', 'schema', 'shop', 'table', 'orders',
        'key', jsonb_build_object('id', 7), 'new', NULL, 'old', NULL, 'txid', '7', 'at', now()),
        jsonb_build_object('route', 'paid_orders'))
"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="changelane-shots-") as name:
        folder = Path(name)
        for part in ("pipelines.yaml", "handlers", "sql_out"):
            source = ROOT / part
            (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
        url = server.start(folder / "server", settings={"fsync": "off"})
        try:
            shoot(folder, url)
        finally:
            server.remove(folder / "server")


def shoot(folder: Path, url: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DATABASE_URL": url}
    command = [sys.executable, "-m", "changelane"]
    with connect(url) as conn:
        for script in sorted((ROOT / "examples" / "shop").glob("*.sql")):
            conn.execute(script.read_bytes())
        subprocess.run([*command, "apply", "--yes"], cwd=folder, env=environment, check=True)
        log = (folder / "worker.log").open("w")
        worker = subprocess.Popen([*command, "work"], cwd=folder, env=environment, stderr=log)
        try:
            with open_panel(folder, url, "--no-token") as panel, sync_playwright() as playwright:
                work(conn)
                chromium = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                for name, path, viewport, scheme in SHOTS:
                    page = chromium.new_page(viewport=viewport, color_scheme=scheme)  # type: ignore[arg-type]
                    page.goto(panel.origin + path.format(queue=QUEUE))
                    page.wait_for_timeout(1500)
                    page.screenshot(path=IMAGES / f"{name}.png")
                    page.close()
                chromium.close()
        finally:
            worker.terminate()
            worker.wait()


def work(conn: psycopg.Connection[Any]) -> None:
    """Sell for a while: more and less, with a pause, and some messages that nobody can handle."""
    conn.execute("INSERT INTO shop.customers (email, name) VALUES ('ada@example.com', 'Ada')")
    began = time.monotonic()
    while (passed := time.monotonic() - began) < SECONDS:
        for _ in range(random.randint(1, 12)):
            conn.execute(SELL)
        if random.random() < 0.05:
            conn.execute(SPOIL)
        if SECONDS * 0.5 < passed < SECONDS * 0.7:
            pause(conn, QUEUE)
        else:
            resume(conn, QUEUE)
        time.sleep(0.1)
    pause(conn, QUEUE)
    for _ in range(120):
        conn.execute(SELL)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    main()
