// Keeps numbers current and draws the charts. Every page reads well without it.
import { Charts } from "./chart.js";
import { sayAge, sayNumber, sayRate, sayShort } from "./say.js";

const SAY = { depth: (value, reading) => sayNumber(value, reading.about), oldest: sayAge, sent: sayRate, left: sayRate };

// The server rendered it, and escaped what messages and names hold.
function fill(place, html) {
  if (place && place.dataset.shown !== html) {
    place.innerHTML = html;
    place.dataset.shown = html;
  }
}

function alarm(sample) {
  fill(document.querySelector("[data-banner]"), sample.banner);
  for (const element of document.querySelectorAll("[data-queue]")) {
    const found = sample.alarms[element.dataset.queue];
    fill(element.querySelector("[data-states]"), found?.badges ?? "");
    fill(element.querySelector("[data-causes]"), found?.causes ?? "");
    const word = element.querySelector("[data-word]");
    if (!word) continue;
    const only = word.dataset.word;
    const states = (found?.states ?? []).filter((state) => !only || state === only);
    word.textContent = states.join(", ");
    element.classList.toggle("alarm-bad", states.length > 0 && found.level === "bad");
    element.classList.toggle("alarm-warn", states.length > 0 && found.level === "warn");
  }
  const dead = document.querySelector("[data-dead]");
  if (dead) dead.textContent = sample.dead ? sayShort(sample.dead) : "";
  const findings = document.querySelector("[data-findings]");
  if (findings && sample.findings !== null) findings.textContent = sample.findings ? `${sample.findings} finding${sample.findings === 1 ? "" : "s"}` : "";
}

function update(sample) {
  alarm(sample);
  for (const element of document.querySelectorAll("[data-queue]")) {
    const reading = sample.queues[element.dataset.queue];
    if (!reading) continue;
    for (const place of element.querySelectorAll("[data-value]")) {
      const name = place.dataset.value;
      const text = "short" in place.dataset ? sayShort(reading[name], reading.about) : SAY[name](reading[name], reading);
      if (place.textContent !== text) place.textContent = text;
    }
  }
  for (const place of document.querySelectorAll("[data-letters]")) {
    const reading = sample.queues[place.dataset.letters];
    if (!reading) continue;
    const unit = place.dataset.unit;
    const say = unit ? sayShort : sayNumber;
    place.textContent = unit && !reading.depth ? "" : say(reading.depth, reading.about) + (unit ?? "");
    if (!unit) place.classList.toggle("bad", reading.depth > 0);
  }
  for (const line of document.querySelectorAll("[data-line]")) {
    const reading = sample.queues[line.dataset.line];
    line.classList.toggle("moving", Boolean(reading && reading[line.dataset.way] > 0));
  }
  if (sample.processes !== undefined && !document.activeElement?.closest("[data-processes]")) {
    fill(document.querySelector("[data-processes]"), sample.processes);
    fill(document.querySelector("[data-relays]"), sample.relays);
  }
  const workers = document.querySelector("[data-workers]");
  if (workers && sample.workers !== null) workers.textContent = `${sample.workers} worker process${sample.workers === 1 ? "" : "es"}`;
  const at = document.querySelector("[data-at]");
  if (at && !sample.error) at.textContent = new Date(sample.at * 1000).toISOString().slice(0, 19).replace("T", " ");
  const drift = document.querySelector("[data-drift]");
  if (drift && (sample.drift || sample.stale)) {
    drift.className = sample.drift ? "badge bad" : "badge warn";
    drift.textContent = sample.drift ? `${sample.drift} difference${sample.drift === 1 ? "" : "s"}` : "spec changed";
  } else if (drift && sample.drift === 0) {
    drift.className = "badge good";
    drift.textContent = "in step";
  }
}

// Nothing that was typed is lost: then the page stays, and the answer is false.
function reload() {
  const typed = [...document.querySelectorAll("main input:not([type=hidden]), main textarea")]
    .some((field) => (field.type === "checkbox" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue));
  if (!typed) location.reload();
  return !typed;
}

const outage = document.querySelector("[data-outage]");

function say(what, why) {
  document.body.classList.toggle("stale", Boolean(what));
  if (outage.textContent.startsWith(what) && Boolean(what) === Boolean(outage.textContent)) return;
  outage.replaceChildren();
  if (!what) return;
  const line = document.createElement("p"), strong = document.createElement("strong");
  line.className = "alarm";
  line.setAttribute("role", "alert");
  strong.textContent = what;
  line.append(strong, ` ${why ? `${why}. ` : ""}What is shown is from before; this page goes on by itself when it is back.`);
  outage.append(line);
}

const SILENCE = 2500;

// Follows the dashboard's events, over its restarts.
function follow(address, { sample, back }) {
  let source, heard = Date.now(), away = Boolean(outage.textContent);
  const tell = (what, why) => {
    if (away && !what) back();
    away = Boolean(what);
    say(what, why);
  };
  const connect = () => {
    source = new EventSource(address);
    source.addEventListener("pulse", (event) => {
      heard = Date.now();
      const pulse = JSON.parse(event.data);
      if (pulse.boot !== outage.dataset.boot) {
        // Its forms are of the session before.
        outage.dataset.boot = pulse.boot;
        // What is shown stays stale until then.
        if (reload()) return;
      }
      tell(pulse.away && "The database does not answer.", pulse.away);
    });
    source.addEventListener("sample", (event) => {
      const found = JSON.parse(event.data);
      if (!away && !found.error) sample(found);
    });
  };
  const check = async () => {
    if (document.hidden) { heard = Date.now(); return; }
    if (Date.now() - heard < SILENCE && source.readyState !== EventSource.CLOSED) return;
    if (Date.now() - heard >= SILENCE) tell("The dashboard does not answer.", "");
    if (source.readyState !== EventSource.CLOSED) return;
    const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
    if (answer?.status === 401) reload();
    else if (answer && source.readyState === EventSource.CLOSED) connect();
  };
  connect();
  const clock = setInterval(check, 1000);
  addEventListener("pagehide", () => { clearInterval(clock); source.close(); });
}

const place = document.querySelector("[data-charts]");
if (outage) {
  const queue = place?.dataset.chartQueue;
  const query = queue === undefined ? "" : `?queue=${encodeURIComponent(queue)}`;
  const follows = document.querySelector("[data-processes]") ? "?processes=yes" : query;
  const range = place?.dataset.range ?? "";
  const charts = place ? new Charts(place, { span: Number(place.dataset.seconds) }) : null;
  const load = async () => {
    const parts = new URLSearchParams(query);
    if (range) parts.set("range", range);
    const answer = charts && await fetch(`/samples.json?${parts}`).catch(() => null);
    if (answer?.ok) charts.set((await answer.json()).samples);
  };
  const names = document.querySelector("[data-names]")?.dataset.names;
  follow(`/events${follows}`, {
    sample(found) {
      // A queue came or went.
      if (names !== undefined && queue === undefined && found.names !== names) reload();
      update(found);
      if (charts && found.point && !range) charts.add(found.point);
    },
    back: reload,
  });
  if (charts) {
    // What workers told meanwhile.
    const clock = setInterval(() => document.hidden || load(), range ? 60000 : 20000);
    addEventListener("pagehide", () => clearInterval(clock));
  }
  await load();
}

// On a narrow screen, the queues are what to see first.
const flow = document.querySelector(".flow");
if (flow && flow.scrollWidth > flow.clientWidth) {
  const queues = flow.querySelector(".queue rect");
  if (queues) flow.scrollLeft = queues.getBoundingClientRect().left - flow.getBoundingClientRect().left - 16;
}

for (const all of document.querySelectorAll("[data-all]")) {
  all.closest("label").hidden = false;
  all.closest("th").querySelector(".hidden")?.remove();
  all.addEventListener("change", () => {
    for (const box of all.form.querySelectorAll("input[name=id]")) box.checked = all.checked;
  });
}

// Where there is room, the search is open.
if (matchMedia("(min-width: 40.01rem)").matches) for (const fold of document.querySelectorAll("[data-fold]")) fold.open = true;

for (const place of document.querySelectorAll("[data-chosen]")) {
  const form = place.closest("form");
  const count = () => {
    const chosen = form.querySelectorAll("input[name=id]:checked").length;
    place.textContent = chosen ? `${chosen} chosen:` : "With the chosen:";
  };
  form.addEventListener("change", count);
  count();
}
