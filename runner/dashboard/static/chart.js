// Time lines, drawn as SVG.
import { sayAge, sayNumber, sayRate } from "./say.js";

const SVG = "http://www.w3.org/2000/svg";
const KEPT = 1800;
const LEFT = 64, RIGHT = 6, TOP = 8, BOTTOM = 18, HEIGHT = 144;
const KINDS = {
  rate: { say: sayRate, tick: sayTick, least: 0.02, lines: [["sent", "sent"], ["left", "left"]] },
  depth: { say: sayNumber, tick: sayTick, least: 2, lines: [["depth", "depth"]] },
  wait: { say: sayAge, tick: sayAge, least: 0.002, lines: [["wait", "mean, about"], ["median", "median"], ["high", "95 %"]] },
};
const CLOCK = [60, 120, 240, 600, 1200, 3600, 7200, 14400, 43200, 86400];
const CLASSES = ["first", "second", "third"];

function make(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

function sayTick(value) {
  return Number(value.toPrecision(3)).toLocaleString("en-US");
}

// The next value from which on up a line can be drawn, and whose half reads well, too.
function round(value, { tick, least }) {
  if (!(value > least)) return value > 0 ? least : Math.max(least, 1);
  if (tick === sayAge && value > 40) return CLOCK.find((step) => step >= value) ?? 86400 * round(value / 86400, { least: 2 });
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value * (1 - 1e-9));
}

class Chart {
  constructor(figure) {
    this.kind = KINDS[figure.dataset.chart];
    this.svg = make("svg", { class: "chart", role: "img" });
    this.legend = document.createElement("ul");
    this.legend.className = "legend";
    this.values = this.kind.lines.map(([, title], index) => {
      const item = document.createElement("li");
      const mark = make("svg", { viewBox: "0 0 26 10", "aria-hidden": "true" });
      mark.append(make("path", { class: CLASSES[index], d: "M0 5H26" }));
      const value = document.createElement("b");
      item.append(mark, `${title} `, value);
      this.legend.append(item);
      return value;
    });
    figure.append(this.svg, this.legend);
  }

  draw(points) {
    const width = Math.max(this.svg.clientWidth, 200);
    const end = points.at(-1)?.at ?? Date.now() / 1000;
    const start = Math.min(points[0]?.at ?? end, end - 60);
    const { say, tick, lines } = this.kind;
    const peak = Math.max(0, ...points.flatMap((point) => lines.map(([name]) => point[name] ?? 0)));
    const top = round(peak, this.kind);
    const x = (at) => LEFT + ((at - start) / (end - start)) * (width - LEFT - RIGHT);
    const y = (value) => TOP + (1 - value / top) * (HEIGHT - TOP - BOTTOM);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const parts = [];
    for (const value of [0, top / 2, top]) {
      parts.push(make("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
      parts.push(make("text", { x: LEFT - 5, y: y(value) + 4, "text-anchor": "end" }, value ? tick(value) : "0"));
    }
    parts.push(make("text", { x: LEFT, y: HEIGHT - 4 }, `${sayAge(end - start)} ago`));
    parts.push(make("text", { x: width - RIGHT, y: HEIGHT - 4, "text-anchor": "end" }, "now"));
    const said = [];
    lines.forEach(([name, title], index) => {
      let path = "", pen = "M";
      for (const point of points) {
        const value = point[name];
        if (value === null || value === undefined) { pen = "M"; continue; }
        path += `${pen}${x(point.at).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = "L";
      }
      if (path) parts.push(make("path", { class: CLASSES[index], d: path }));
      const last = say(points.at(-1)?.[name]);
      this.values[index].textContent = last;
      said.push(`${title} ${last}`);
    });
    this.svg.setAttribute("aria-label", `Of the last ${sayAge(end - start)}, now ${said.join(", ")}`);
    this.svg.replaceChildren(...parts);
  }
}

export class Charts {
  constructor(place) {
    this.points = [];
    place.classList.add("drawn");
    this.charts = [...place.querySelectorAll("[data-chart]")].map((figure) => new Chart(figure));
    new ResizeObserver(() => this.draw()).observe(place);
  }

  set(points) {
    this.points = points;
    this.draw();
  }

  add(point) {
    if (this.points.length && point.at <= this.points.at(-1).at) return;
    this.points.push(point);
    while (this.points[0].at < point.at - KEPT) this.points.shift();
    this.draw();
  }

  draw() {
    for (const chart of this.charts) chart.draw(this.points);
  }
}
