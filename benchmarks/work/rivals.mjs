// One rival of Node, in a process of its own: sends itself COUNT jobs, works them off, and prints the seconds
// that the work took. All of them do nothing with what they get.
//
//     node rivals.mjs NAME URL COUNT

import { performance } from "node:perf_hooks";
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import PgBoss from "pg-boss";

const PAYLOAD = { pad: "x".repeat(280) };
const CONCURRENCY = 24;
const LOCAL_QUEUE = 500;
const BATCH = 1000;

/** The fastest setting of graphile-worker: jobs are fetched, and completed, many at once. */
async function workGraphile(url, count) {
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  for (let sent = 0; sent < count; sent += 5000) {
    const jobs = Array.from({ length: Math.min(5000, count - sent) }, () => ({ identifier: "bench", payload: PAYLOAD }));
    await utils.addJobs(jobs);
  }
  await utils.withPgClient((client) => client.query("VACUUM ANALYZE graphile_worker._private_jobs"));
  let done = 0;
  let finish;
  const finished = new Promise((resolve) => { finish = resolve; });
  const began = performance.now();
  const runner = await run({
    connectionString: url,
    logger,
    noHandleSignals: true,
    taskList: { bench: async () => { if (++done === count) finish(); } },
    preset: {
      worker: {
        concurrentJobs: CONCURRENCY,
        localQueue: { size: LOCAL_QUEUE },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      },
    },
  });
  await finished;
  // Stopping waits for the jobs to be completed in the database.
  await runner.stop();
  const seconds = (performance.now() - began) / 1000;
  const left = await utils.withPgClient((client) => client.query("SELECT count(*)::int FROM graphile_worker._private_jobs"));
  if (left.rows[0].count !== 0) throw new Error(`graphile-worker left ${left.rows[0].count} jobs`);
  await utils.release();
  return seconds;
}

/** pg-boss by its calls for batches: its own loop waits half a second after each batch. */
async function workPgBoss(url, count) {
  const boss = new PgBoss({ connectionString: url, schema: "bench_pgboss", supervise: false, schedule: false });
  await boss.start();
  await boss.createQueue("bench");
  for (let sent = 0; sent < count; sent += 5000) {
    await boss.insert(Array.from({ length: Math.min(5000, count - sent) }, () => ({ name: "bench", data: PAYLOAD })));
  }
  const began = performance.now();
  let done = 0;
  while (done < count) {
    const jobs = await boss.fetch("bench", { batchSize: BATCH });
    await boss.complete("bench", jobs.map((job) => job.id));
    done += jobs.length;
  }
  const seconds = (performance.now() - began) / 1000;
  await boss.clearStorage();
  await boss.stop({ graceful: false });
  return seconds;
}

const [name, url, text] = process.argv.slice(2);
const count = Number(text);
const work = { "graphile-worker": workGraphile, "pg-boss": workPgBoss }[name];
console.log(await work(url, count));
