// Time lines, drawn as SVG, with a crosshair that all of a page share.
import { sayAge, sayNumber, sayRate, sayTime } from "./say.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 64, RIGHT = 8, TOP = 8, BOTTOM = 20, HEIGHT = 150;
const KINDS = {
  rate: { say: sayRate, tick: sayTick, least: 0.02, lines: [["sent", "sent"], ["left", "left"]] },
  depth: { say: sayNumber, tick: sayTick, least: 2, lines: [["depth", "depth"]] },
  waited: { say: sayTime, tick: sayTime, least: 0.002, lines: [["waited", "median"], ["waited_high", "95 %"]] },
  worked: { say: sayTime, tick: sayTime, least: 0.002, lines: [["worked", "median"], ["worked_high", "95 %"]] },
  failed: { say: sayRate, tick: sayTick, least: 0.02, lines: [["failed", "failed"], ["retried", "of these, tried again"]] },
};
const CLOCK = [60, 120, 240, 600, 1200, 3600, 7200, 14400, 43200, 86400];
const STEPS = [60, 300, 600, 1800, 3600, 7200, 14400, 21600, 43200, 86400];
const CLASSES = ["first", "second", "third"];
const DAY = 86400;

function make(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function sayTick(value) {
  return Number(value.toPrecision(3)).toLocaleString("en-US");
}

function sayMoment(at, { day = false, seconds = false } = {}) {
  const text = new Date(at * 1000).toISOString();
  return (day ? `${text.slice(5, 10)} ` : "") + text.slice(11, seconds ? 19 : 16);
}

// The next value from which on up a line can be drawn, and whose half reads well, too.
function round(value, { tick, least }) {
  if (!(value > least)) return value > 0 ? least : Math.max(least, 1);
  if (tick === sayTime && value > 40) return CLOCK.find((step) => step >= value) ?? DAY * round(value / DAY, { least: 2 });
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value * (1 - 1e-9));
}

class Chart {
  constructor(figure, { seek, step }) {
    this.kind = KINDS[figure.dataset.chart];
    this.svg = make("svg", { class: "chart", role: "img", tabindex: "0" });
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    this.when = document.createElement("li");
    this.when.className = "when";
    this.values = this.kind.lines.map(([, title], index) => {
      const item = document.createElement("li");
      const mark = make("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      mark.append(make("path", { class: CLASSES[index], d: "M0 5H26" }));
      const value = document.createElement("b");
      item.append(mark, `${title} `, value);
      this.legend.append(item);
      return value;
    });
    this.legend.append(this.when);
    figure.append(this.svg, this.legend);
    this.svg.addEventListener("pointermove", (event) => {
      const box = this.svg.getBoundingClientRect();
      seek(this.start + ((event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * (this.end - this.start));
    });
    this.svg.addEventListener("pointerleave", () => seek(null));
    this.svg.addEventListener("blur", () => seek(null));
    this.svg.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way) { event.preventDefault(); step(way); }
      if (event.key === "Escape") seek(null);
    });
  }

  // The points that hold a value of this chart.
  filter(points) {
    return points.filter((point) => this.kind.lines.some(([name]) => point[name] !== undefined));
  }

  draw(points, { start, end, at }) {
    this.start = start;
    this.end = end;
    const width = Math.max(this.svg.clientWidth, 200);
    const { say, tick, lines } = this.kind;
    const own = this.filter(points);
    const peak = Math.max(0, ...own.flatMap((point) => lines.map(([name]) => point[name] ?? 0)));
    const top = round(peak, this.kind);
    const x = (moment) => LEFT + ((moment - start) / (end - start)) * (width - LEFT - RIGHT);
    const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const parts = [];
    for (const value of [0, top / 2, top]) {
      parts.push(make("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, value ? tick(value) : "0"));
      parts.push(make("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    }
    const room = Math.max(2, Math.floor((width - LEFT - RIGHT) / 90));
    const step = STEPS.find((seconds) => (end - start) / seconds <= room) ?? DAY * Math.ceil((end - start) / DAY / room);
    for (let moment = Math.ceil(start / step) * step; moment <= end; moment += step) {
      parts.push(make("line", { class: "grid", x1: x(moment), x2: x(moment), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }));
      const anchor = x(moment) > width - 34 ? "end" : x(moment) < LEFT + 14 ? "start" : "middle";
      parts.push(make("text", { x: x(moment), y: HEIGHT - 4, "text-anchor": anchor }, step >= DAY || moment % DAY === 0 ? sayMoment(moment, { day: true }).slice(0, 5) : sayMoment(moment)));
    }
    const found = at === null ? own.at(-1) : own.reduce((best, point) => (!best || Math.abs(point.at - at) < Math.abs(best.at - at) ? point : best), null);
    const said = [];
    lines.forEach(([name, title], index) => {
      let path = "", pen = "M", alone = 0;
      for (const point of own) {
        const value = point[name];
        if (value === null || value === undefined || point.after) pen = "M";
        if (value === null || value === undefined) continue;
        // A point without neighbours is a dot.
        path += `${pen}${x(point.at).toFixed(1)} ${y(value).toFixed(1)}${pen === "M" ? "h.1" : ""}`;
        alone += 1;
        pen = "L";
      }
      if (alone) parts.push(make("path", { class: CLASSES[index], d: path }));
      if (at !== null && found && found[name] !== null && found[name] !== undefined) parts.push(make("circle", { class: CLASSES[index], cx: x(found.at), cy: y(found[name]), r: 3 }));
      this.values[index].textContent = say(found?.[name]);
      said.push(`${title} ${say(found?.[name])}`);
    });
    if (at !== null && found) parts.push(make("line", { class: "cross", x1: x(found.at), x2: x(found.at), y1: TOP, y2: HEIGHT - BOTTOM }));
    this.when.textContent = at !== null && found ? `at ${sayMoment(found.at, { day: end - start > DAY, seconds: end - start < 7200 })} UTC` : "";
    this.svg.setAttribute("aria-label", `Of the last ${sayAge(end - start)}, ${at !== null && found ? `at ${sayMoment(found.at)}` : "now"} ${said.join(", ")}`);
    this.svg.replaceChildren(...parts);
  }
}

export class Charts {
  // `span` are the seconds that are shown, up to now.
  constructor(place, { span }) {
    this.points = [];
    this.span = span;
    this.at = null;
    place.classList.add("drawn");
    const shared = { seek: (at) => this.seek(at), step: (way) => this.step(way) };
    this.charts = [...place.querySelectorAll("[data-chart]")].map((figure) => new Chart(figure, shared));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  set(points) {
    this.points = points;
    this.draw();
  }

  add(point) {
    const last = this.points.findLast((known) => known.sent !== undefined);
    if (last && point.at <= last.at) return;
    this.points.push(point);
    while (this.points[0].at < point.at - this.span) this.points.shift();
    this.draw();
  }

  seek(at) {
    this.at = at;
    this.draw();
  }

  step(way) {
    const at = this.at ?? this.points.at(-1)?.at;
    const moments = this.points.map((point) => point.at).sort((one, other) => one - other);
    const next = way > 0 ? moments.find((moment) => moment > at) : moments.findLast((moment) => moment < at);
    if (next !== undefined) this.seek(next);
  }

  draw() {
    const end = Date.now() / 1000;
    const view = { start: end - this.span, end, at: this.at };
    for (const chart of this.charts) chart.draw(this.points, view);
  }
}
