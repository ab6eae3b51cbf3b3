"""The cost of capture for the application: extra time per row over no trigger, and in proportion to others.

    python benchmarks/bench_capture.py [--database-url URL] [--rounds 5] [--rows 50000] [--json FILE]

Variants of each workload have tables of their own with the same rows and are run in turn, so that noise meets
all of them alike. Times are the server's own (clock_timestamp), medians over the rounds, less the median of
the table without a trigger; where the server runs on this machine, also the processor time of its process,
which other load moves less. Without a URL a server of its own is started, with fsync on, and removed.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString, NamedTuple

import psycopg
import yaml
from capture_workloads import (
    FILL,
    FILL_WIDE,
    FLOORS,
    NARROW,
    WIDE,
    Workload,
    choose_targets,
    choose_variants,
    list_workloads,
)
from psycopg import sql

from changelane.runner.live import pgmq
from changelane.runner.live.database import connect
from changelane.runner.local import server

Connection = psycopg.Connection[Any]

HERE = Path(__file__).parent / "capture"
VARIANTS = ("none", "hand", "pgmq", "inline", *FLOORS, "logutriga")


class Took(NamedTuple):
    """Microseconds per row: by the clock, and of the server's processor (NaN where it is out of sight)."""

    clock: float
    processor: float


def name_table(number: int, variant: str) -> str:
    return f"w{number}_{variant}"


def apply(spec: Path, url: str) -> None:
    """Inspect, generate and apply, as a user does."""
    program = [sys.executable, "-m", "changelane", "--database-url", url]
    for command in (["inspect"], ["generate"], ["apply", "--yes"]):
        subprocess.run(
            [*program, "--file", spec, "--out", spec.with_suffix(".out"), *command],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def prepare(
    conn: Connection, url: str, workloads: Sequence[Workload], folder: Path, variants: Sequence[str]
) -> None:
    """Tables of every workload and variant, their hand-written triggers, and the routes, applied."""
    conn.execute("CREATE SCHEMA bench")
    conn.execute((HERE / "hand.sql").read_bytes())
    conn.execute((HERE / "bare.sql").read_bytes())
    conn.execute(sql.SQL("CREATE TABLE bench.idle ({})").format(sql.SQL(NARROW)))
    routes: list[dict[str, object]] = []
    for number, workload in enumerate(workloads):
        for variant in choose_variants(workload, variants):
            name = name_table(number, variant)
            table = sql.Identifier("bench", name)
            conn.execute(sql.SQL("CREATE TABLE {} ({})").format(table, sql.SQL(workload.columns)))
            for repeat in range(workload.routes):
                trigger = sql.Identifier(f"capture_{repeat}")
                if variant == "hand":
                    conn.execute(sql.SQL(
                        "CREATE TRIGGER {} AFTER INSERT OR UPDATE ON {} FOR EACH ROW"
                        " EXECUTE FUNCTION bench.hand()"
                    ).format(trigger, table))  # fmt: skip
                elif variant in FLOORS:
                    for event in ("insert", "update"):
                        conn.execute(sql.SQL(
                            "CREATE TRIGGER {} AFTER {} ON {} FOR EACH ROW EXECUTE FUNCTION {}()"
                        ).format(
                            sql.Identifier(f"capture_{repeat}_{event}"), sql.SQL(event), table,
                            sql.Identifier("bench", f"{variant}_{event}"),
                        ))  # fmt: skip
                elif variant == "logutriga":
                    conn.execute(sql.SQL(
                        "CREATE TRIGGER {} AFTER INSERT OR UPDATE ON {} FOR EACH ROW"
                        " EXECUTE FUNCTION pgq.logutriga('bench')"
                    ).format(trigger, table))  # fmt: skip
                elif variant in ("pgmq", "inline"):
                    route: dict[str, object] = {
                        "name": f"{name}_{repeat}", "table": f"bench.{name}", "events": ["insert", "update"],
                        "queue": "bench", "send": variant,
                    }  # fmt: skip
                    routes.append(route | ({"when": workload.when} if workload.when else {}))
    (folder / "pipelines.yaml").write_text(
        yaml.safe_dump({"version": 1, "project": "bench", "queues": {"bench": {}}, "routes": routes})
    )
    apply(folder / "pipelines.yaml", url)


def read_processor(conn: Connection) -> float:
    """Microseconds that the server's process has run, or NaN where it is not on this machine."""
    try:
        return int(Path(f"/proc/{conn.info.backend_pid}/schedstat").read_text().split()[0]) / 1e3
    except OSError:
        return float("nan")


def time_workload(conn: Connection, workload: Workload, table: str) -> Took:
    """What the timed part takes per row."""
    values = {
        "table": sql.Identifier("bench", table), "rows": sql.Literal(workload.rows),
    }  # fmt: skip
    conn.execute("TRUNCATE pgmq.q_bench")
    conn.execute(sql.SQL("TRUNCATE {table}").format(**values))
    # The first calls of a session compile the function and plan its statements: not what is measured.
    warm: LiteralString = "INSERT INTO {table} (id) SELECT generate_series(-6, -1)"
    conn.execute(sql.SQL(warm).format(**values))
    if "UPDATE" in workload.name:
        for id in range(-3, 0):
            conn.execute(sql.SQL("UPDATE {table} SET n = 1 WHERE id = {id}").format(**values, id=id))
    conn.execute(sql.SQL("DELETE FROM {table}").format(**values))
    conn.execute(sql.SQL(workload.setup).format(**values))
    if workload.timed == "COPY":
        return time_copy(conn, workload, values["table"])
    timed = sql.SQL(workload.timed).format(**values)
    if not workload.bulk:
        timed = sql.SQL("FOR i IN 1..{rows} LOOP {timed}; END LOOP").format(**values, timed=timed)
    statement = sql.SQL(
        "DO $$ DECLARE began timestamptz := clock_timestamp(); BEGIN {timed};"
        " PERFORM set_config('bench.took', (extract(epoch FROM clock_timestamp() - began))::text, false);"
        " END $$"
    ).format(timed=timed)
    return take_time(conn, statement.as_bytes(conn), rows=workload.rows)


def take_time(conn: Connection, statement: bytes, *, rows: int) -> Took:
    """What a statement takes per row that leaves the seconds in the setting bench.took."""
    began = read_processor(conn)
    conn.execute(statement)
    processor = read_processor(conn) - began
    row = conn.execute("SELECT current_setting('bench.took')::float8").fetchone()
    assert row is not None
    return Took(float(row[0]) * 1e6 / rows, processor / rows)


def time_first(conn: Connection, url: str, workload: Workload, table: str) -> Took:
    """What the first captured write of a session takes, which looks at other tables before."""
    name = sql.Identifier("bench", table)
    conn.execute("TRUNCATE pgmq.q_bench")
    conn.execute(sql.SQL("TRUNCATE {}").format(name))
    clock = processor = 0.0
    for number in range(1, workload.rows + 1):
        with connect(url) as session:
            # What a session reads of the catalog before its first write is not what is measured.
            session.execute("SELECT FROM pgmq.q_bench, pgmq.meta LIMIT 1")
            session.execute(
                sql.SQL("UPDATE {} SET n = 1 WHERE false").format(sql.Identifier("bench", "idle"))
            )
            statement = (
                sql.SQL(workload.timed)
                .format(table=name)
                .as_string(session)
                .replace("i, 'some text ' || i, i * 1.5", f"{number}, 'some text', 1.5")
            )
            before, began = read_processor(session), time.perf_counter()
            session.execute(statement.encode())
            clock += (time.perf_counter() - began) * 1e6
            processor += read_processor(session) - before
    return Took(clock / workload.rows, processor / workload.rows)


def time_copy(conn: Connection, workload: Workload, table: sql.Composable) -> Took:
    lines = "".join(
        f"{number}\tsome text {number}\t{number * 1.5}\tt\n" for number in range(1, workload.rows + 1)
    )
    before = read_processor(conn)
    began = conn.execute("SELECT clock_timestamp()").fetchone()
    with conn.cursor().copy(sql.SQL("COPY {} (id, a, n, flag) FROM STDIN").format(table)) as copy:
        copy.write(lines)
    ended = conn.execute("SELECT clock_timestamp()").fetchone()
    processor = read_processor(conn) - before
    assert began is not None
    assert ended is not None
    clock = float((ended[0] - began[0]).total_seconds()) * 1e6
    return Took(clock / workload.rows, processor / workload.rows)


def time_floor(conn: Connection, *, rows: int, columns: LiteralString, update: bool) -> Took:
    """What a bare INSERT ... SELECT of the same messages into a table like the queue's takes per row."""
    conn.execute("SELECT set_config('bench.update', %s, false)", [str(update)])
    conn.execute("DROP TABLE IF EXISTS bench.floor, bench.source")
    conn.execute("CREATE TABLE bench.floor (LIKE pgmq.q_bench INCLUDING ALL)")
    source = sql.Identifier("bench", "source")
    conn.execute(sql.SQL("CREATE TABLE {} ({})").format(source, sql.SQL(columns)))
    fill = FILL_WIDE if columns == WIDE else FILL
    conn.execute(sql.SQL(fill).format(table=source, rows=sql.Literal(rows)))
    return take_time(conn, (HERE / "floor.sql").read_bytes(), rows=rows)


def find_floor(workload: Workload) -> tuple[LiteralString, bool]:
    """The columns of the messages, and whether they have an old side."""
    return workload.columns, "UPDATE" in workload.name


def run_pgbench(url: str, *, seconds: int) -> float:
    """Transactions a second of pgbench's TPC-B-like load with 8 clients."""
    command = [str(server.find_binary("pgbench")), "-n", "-c", "8", "-j", "2", "-T", str(seconds), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"tps = ([0-9.]+)", output)
    assert found is not None, output
    return float(found[1])


def compare_pgbench(
    conn: Connection, url: str, folder: Path, *, rounds: int, seconds: int
) -> dict[str, float]:
    """Median tps without capture and with it (accounts, tellers and branches, updates)."""
    program = str(server.find_binary("pgbench"))
    subprocess.run([program, "-i", "-q", "-s", "10", url], check=True, capture_output=True)
    results: dict[str, list[float]] = {"none": [], "pgmq": [], "inline": []}
    for _ in range(rounds):
        for variant, tps in results.items():
            for table in ("accounts", "tellers", "branches"):
                conn.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(
                    sql.Identifier("public", f"pgbench_{table}")
                ))  # fmt: skip
            if variant != "none":
                _apply_pgbench(url, folder, send=variant)
            conn.execute("TRUNCATE pgmq.q_bench")
            conn.execute("CHECKPOINT")
            tps.append(run_pgbench(url, seconds=seconds))
    return {variant: statistics.median(tps) for variant, tps in results.items()}


def _apply_pgbench(url: str, folder: Path, *, send: str) -> None:
    spec = folder / "pgbench.yaml"
    tables = [f"public.pgbench_{table}" for table in ("accounts", "tellers", "branches")]
    route = {"name": "tpcb", "tables": tables, "events": ["update"], "queue": "bench", "send": send}
    spec.write_text(
        yaml.safe_dump({"version": 1, "project": "tpcb", "queues": {"bench": {}}, "routes": [route]})
    )
    apply(spec, url)


@contextmanager
def reach(url: str | None) -> Iterator[str]:
    """The URL given, or that of a server of our own."""
    if url is not None:
        yield url
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            yield server.start(Path(folder))
        finally:
            server.remove(Path(folder))


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--database-url")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--pgbench-seconds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    workloads = list_workloads(options.rows)
    with reach(options.database_url) as url, tempfile.TemporaryDirectory() as name, connect(url) as conn:
        pgmq.install(conn)
        pgq = conn.execute("SELECT to_regproc('pgq.logutriga') IS NOT NULL").fetchone()
        variants = VARIANTS if pgq == (True,) else VARIANTS[:-1]
        if pgq == (True,):
            conn.execute("SELECT pgq.create_queue('bench')")
        conn.execute("DROP SCHEMA IF EXISTS bench CASCADE")
        prepare(conn, url, workloads, Path(name), variants)
        times: dict[tuple[int, str], list[Took]] = {}
        floors: dict[tuple[LiteralString, bool], list[Took]] = {find_floor(line): [] for line in workloads}
        for round_ in range(options.rounds):
            for (columns, update), floor_times in floors.items():
                floor_times.append(time_floor(conn, rows=options.rows, columns=columns, update=update))
            for number, workload in enumerate(workloads):
                compared = choose_variants(workload, variants)
                turned = [*compared[round_ % len(compared) :], *compared[: round_ % len(compared)]]
                for variant in turned:
                    table = name_table(number, variant)
                    took = (
                        time_first(conn, url, workload, table)
                        if workload.first
                        else time_workload(conn, workload, table)
                    )
                    times.setdefault((number, variant), []).append(took)
            print(f"round {round_ + 1} of {options.rounds}", flush=True)
        tps = compare_pgbench(
            conn, url, Path(name), rounds=min(3, options.rounds), seconds=options.pgbench_seconds
        )
        version = conn.info.server_version // 10000
        conn.execute("DROP SCHEMA bench CASCADE")
    report = build_report(workloads, times, floors, tps, version, variants)
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def build_report(
    workloads: Sequence[Workload],
    times: dict[tuple[int, str], list[Took]],
    floors: dict[tuple[LiteralString, bool], list[Took]],
    tps: dict[str, float],
    version: int,
    variants: Sequence[str],
) -> dict[str, Any]:
    """Extra microseconds per row, their ratios, and the targets met or missed, by each way to measure."""
    return {
        "format_version": 2,
        "postgres": version,
        "pgbench_tps": tps,
        "measures": {
            measure: [
                judge(
                    workload,
                    {
                        variant: [took[field] for took in times[number, variant]]
                        for variant in choose_variants(workload, variants)
                    },
                    floor=statistics.median(took[field] for took in floors[find_floor(workload)]),
                )
                for number, workload in enumerate(workloads)
            ]
            for field, measure in enumerate(Took._fields)
        },
    }


def judge(workload: Workload, times: dict[str, list[float]], *, floor: float) -> dict[str, Any]:
    """One workload by one way to measure; ``times`` are the microseconds per row of each round."""
    median = {variant: statistics.median(rounds) for variant, rounds in times.items()}
    extra = {variant: median[variant] - median["none"] for variant in times}
    extra["floor"] = floor
    return {
        "workload": workload.name,
        "none_us": median["none"],
        "extra_us": extra,
        "spread": {
            variant: (max(rounds) - min(rounds)) / median[variant] for variant, rounds in times.items()
        },
        "ratios": {
            f"{ours}/{theirs}": {"ratio": extra[ours] / extra[theirs], "target": target}
            for (ours, theirs), target in choose_targets(workload).items()
            if theirs in extra and (theirs != "floor" or workload.routes == 1)
        },
        "floors": {variant: extra[variant] / extra["hand"] for variant in FLOORS if variant in extra},
    }


def show(report: dict[str, Any]) -> None:
    for measure, lines in report["measures"].items():
        print(
            f"\nPostgreSQL {report['postgres']}, by the {measure}: extra microseconds per row over no trigger"
        )
        for line in lines:
            extra = "  ".join(
                f"{variant} {value:6.1f}" for variant, value in line["extra_us"].items() if variant != "none"
            )
            print(f"{line['workload']:26} {extra}   spread <= {max(line['spread'].values()):.0%}")
            for name, ratio in line["ratios"].items():
                verdict = "met" if ratio["ratio"] <= ratio["target"] else "MISSED"
                print(f"{'':26}   {name:18} {ratio['ratio']:5.2f}  target {ratio['target']:.2f}  {verdict}")
            for variant, ratio in line["floors"].items():
                print(f"{'':26}   {f'{variant}/hand':18} {ratio:5.2f}  floor of pgmq")
    tps = report["pgbench_tps"]
    print("\npgbench, 8 clients, tps:", "  ".join(f"{name} {value:.0f}" for name, value in tps.items()))


if __name__ == "__main__":
    main()
