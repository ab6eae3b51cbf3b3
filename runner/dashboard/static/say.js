// As the server says it.
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

export function sayAge(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(Math.max(seconds, 0) * 1000)} ms`;
  let rest = Math.floor(seconds);
  const parts = [];
  for (const [size, unit] of UNITS) {
    if (rest >= size || parts.length) {
      parts.push([Math.floor(rest / size), unit]);
      rest %= size;
    }
    if (parts.length === 2) break;
  }
  return parts.filter(([count]) => count > 0).map((part) => part.join(" ")).join(" ");
}

export function sayTime(seconds) {
  if (seconds === null || seconds === undefined || seconds >= 60) return sayAge(seconds);
  return seconds < 1 ? `${Number((seconds * 1000).toPrecision(2))} ms` : `${Number(seconds.toPrecision(2))} s`;
}

export function sayNumber(value, about = false) {
  if (value === null || value === undefined) return "–";
  return `${about ? "about " : ""}${Math.round(value).toLocaleString("en-US")}`;
}

export function sayRate(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0 || value >= 100) return Math.round(value).toLocaleString("en-US");
  return value >= 1 ? value.toFixed(1) : String(Number(value.toPrecision(2)));
}

export function sayShort(value, about = false) {
  if (value === null || value === undefined) return "–";
  const mark = about ? "~" : "";
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size * 0.99995) return `${mark}${(value / size).toFixed(value / size >= 99.95 ? 0 : 1)}${unit}`;
  }
  return `${mark}${Math.round(value)}`;
}
