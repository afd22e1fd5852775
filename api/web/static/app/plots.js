// Numbers over time, drawn here as paths: a small line in a row, and a plot with a limit line. Each has a sentence for who cannot see
// it, and a plot its numbers as a table.
import { html, signal, useEffect, useState } from "../vendor/preact.js";
import { get } from "./api.js";
import { bytes, GIGABYTE } from "./words.js";

const FRESH_MS = 60000;
const WIDE = 600;
const HIGH = 158;
const LEFT = 44;
const MOST_WIDE = 40;
const CALM_HEIGHT = 600e6; // one scale for all rows: 0 to 600 MB
const LEAST = 4; // fewer samples say nothing yet

/** @type {Signal<Got<"/api/metrics/samples">["sessions"]>} */
export const samples = signal({}); // session -> its last hour
let asked = 0;

export async function look() {
  if (Date.now() - asked < FRESH_MS || document.visibilityState !== "visible") return;
  asked = Date.now();
  try {
    samples.value = (await get("/api/metrics/samples?each=true")).sessions;
  } catch {
    asked = 0;
  }
}

export function watch() {
  look();
  const timer = setInterval(look, FRESH_MS);
  return () => clearInterval(timer);
}
export const useSamples = () => useEffect(watch, []);

const path = (points) => points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

export function Spark({ id, field = "memoryBytes" }) {
  const series = samples.value[id] || [];
  if (series.length < LEAST) return null;
  const cpu = field === "cpuPercent";
  const most = cpu ? 100 : Math.max(CALM_HEIGHT, ...series.map((one) => one[field]));
  const end = series.at(-1).at;
  const points = series.map((one) => [76 - ((end - one.at) / 3600000) * 76, 22 - Math.min(1, one[field] / most) * 20]);
  const now = series.at(-1)[field];
  const said = cpu ? `CPU in the last hour, now ${Math.round(now)} %` : `Memory in the last hour, now ${bytes(now)}`;
  return html`<svg class=${`spark${cpu ? " cpu" : ""}`} viewBox="0 0 76 22" preserveAspectRatio="none" role="img" aria-label=${said}>
    <path class="area" d=${`${path(points)}L76 22L${points[0][0].toFixed(1)} 22Z`} /><path d=${path(points)} /></svg>`;
}

const SPANS = { hour: "1 hour", day: "24 hours", fortnight: "14 days" };
const hour = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const day = (at) => new Date(at).toLocaleDateString([], { day: "numeric", month: "short" });

// A round number above this one: the top of the scale.
function above(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 4, 5, 8, 10].map((part) => part * power).find((top) => top >= value) || value;
}

function Plot({ title, series, field, unit, limit, bars, span, least = 4, scale = 1 }) {
  if (!series.length) return html`<section class="card plot"><div class="top"><h3>${title}</h3></div><p class="small muted">Nothing was measured yet.</p></section>`;
  const values = series.map((one) => one[field]);
  const most = above(Math.max(...values, limit || 0, least) / scale) * scale;
  const [from, to] = [series[0].at, Math.max(series.at(-1).at, series[0].at + 1)];
  const x = (at) => LEFT + ((at - from) / (to - from)) * (WIDE - LEFT);
  const y = (value) => HIGH - (Math.min(value, most) / most) * (HIGH - 6);
  const line = series.map((one) => [x(one.at), y(one[field])]);
  const name = span === "fortnight" ? day : hour;
  const width = Math.min(MOST_WIDE, Math.max(2, (WIDE - LEFT) / series.length - 3));
  const steps = "15".includes(String(most / scale)[0]) ? 5 : 4; // whole numbers, or ones that are short
  const said = `${title} in ${SPANS[span]}: between ${unit(Math.min(...values))} and ${unit(Math.max(...values))}${limit ? `, limit ${unit(limit)}` : ""}`;
  return html`<section class="card plot"><div class="top"><h3>${title}</h3><span class="muted small">${hour(series.at(-1).at)}: ${unit(values.at(-1))}${limit ? `, limit ${unit(limit)}` : ""}</span></div>
    <svg class="chart" viewBox="0 0 600 180" role="img" aria-label=${said}>
      ${Array.from({ length: steps + 1 }, (_, step) => step / steps).map((part) => html`<path class="g" key=${part} d=${`M${LEFT} ${y(most * part)}H${WIDE}`} /><text x="36" y=${y(most * part) + 4} text-anchor="end">${unit(most * part)}</text>`)}
      ${bars ? series.map((one) => html`<rect class="b1" key=${one.at} x=${Math.min(x(one.at), WIDE - width)} y=${y(one[field])} width=${width} height=${HIGH - y(one[field])} rx="2" />`) : html`<path class="a1" d=${`${path(line)}L${WIDE} ${HIGH}L${LEFT} ${HIGH}Z`} /><path class="l1" d=${path(line)} />`}
      ${limit && limit <= most ? html`<path class="lim" d=${`M${LEFT} ${y(limit)}H${WIDE}`} />` : null}
      ${[0, 0.5, 1].map((part) => html`<text key=${part} x=${LEFT + part * (WIDE - LEFT)} y="177" text-anchor=${part === 0 ? "start" : part === 1 ? "end" : "middle"}>${name(from + part * (to - from))}</text>`)}</svg>
    <details class="small"><summary class="muted">As a table</summary><div class="matrix" tabindex="0" role="group" aria-label=${`${title} as a table`}><table class="lat"><tbody class="num">${series.slice(-48).map((one) => html`<tr key=${one.at}><th scope="row">${span === "fortnight" ? day(one.at) : ""} ${hour(one.at)}</th><td>${unit(one[field])}</td></tr>`)}</tbody></table></div></details></section>`;
}

const gigabytes = (value) => `${(value / GIGABYTE).toFixed(value >= 10 * GIGABYTE ? 0 : 1).replace(/\.0$/, "")} GB`;
const percent = (value) => `${Math.round(value)} %`;
const plainly = (value) => `${Math.round(value)}`;

export function Plots({ limits }) {
  const [span, setSpan] = useState("hour");
  const [series, setSeries] = useState(/** @type {Got<"/api/metrics/samples">["total"]} */ (null));
  useEffect(() => {
    let here = true;
    const load = () => document.visibilityState === "visible" && get(`/api/metrics/samples?span=${span}`).then((answer) => here && setSeries(answer.total), () => here && setSeries([]));
    load();
    const timer = setInterval(load, FRESH_MS);
    return () => {
      here = false;
      clearInterval(timer);
    };
  }, [span]);
  const memory = limits?.["limits.memory_total_gb"] ? limits["limits.memory_total_gb"] * GIGABYTE : null;
  return html`<section class="stack" aria-labelledby="p-h"><div class="spread"><h2 id="p-h">Over time</h2><div class="seg" role="group" aria-label="How long">${Object.entries(SPANS).map(([name, title]) => html`<button type="button" key=${name} aria-pressed=${span === name ? "true" : "false"} onClick=${() => setSpan(name)}>${title}</button>`)}</div></div>
    ${series ? html`<div class="grid-2 top"><${Plot} title="Memory of all sessions" series=${series} field="memoryBytes" least=${GIGABYTE} scale=${GIGABYTE} unit=${gigabytes} limit=${memory} span=${span} />
      <${Plot} title="CPU of all sessions" series=${series} field="cpuPercent" least=${20} unit=${percent} span=${span} />
      <${Plot} title="Messages" series=${series} field="messages" unit=${plainly} bars span=${span} />
      <${Plot} title="Live sessions" series=${series} field="sessions" unit=${plainly} limit=${limits?.["sessions.max_concurrent"]} span=${span} /></div>` : null}</section>`;
}
