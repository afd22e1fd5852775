// Is it well: findings first, then versions, times and tokens, then what happened.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { get } from "./api.js";
import { Bar } from "./shell.js";
import { attempt, listeners, look as examine, me, metrics, sessions, settings } from "./store.js";
import { Plots } from "./plots.js";
import { Bones, Btn, Icon, IconBtn } from "./ui.js";
import { age, bytes, many, minute, titleOf } from "./words.js";

const ICON = { ok: ["ok", "is-ok", "well"], warn: ["warn", "is-warn", "needs a look"], fail: ["failed", "is-bad", "failed"] };
const GROUPS = {
  All: null, States: ["state", "created", "ended", "crashed", "resumed", "reopened"], Messages: ["message"], Answers: ["waiting", "answered", "expired"],
  Limits: ["memory", "warning", "extended", "pressure", "start_delayed"], Failures: ["crashed", "stuck", "unresponsive", "quarantined", "notification_failed", "scheduled_lost", "editor_taken", "hooks_off"], "Who did what": ["audit", "settings"],
};
const KEEP = 200;
const MORE = 50;
const kept = [];
listeners.add((event) => {
  if (event.kind === "text" || event.kind === "tick" || !event.seq) return;
  kept.unshift(event);
  if (kept.length > KEEP) kept.pop();
});

const time = (ms) => (ms == null ? "none" : ms < 1000 ? `${Math.round(ms)} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60000)} min`);

// In words, from what the event says; never its texts.
function said({ kind, data }) {
  const parts = { state: () => `${data.from} → ${data.to}`, message: () => data.state, waiting: () => `asks: ${data.for}`, answered: () => `${data.choice || "answered"}${data.by ? ` by ${data.by}` : ""}`, audit: () => `${data.actor}: ${data.op}${data.refused ? `, refused (${data.refused})` : ""}`, tool: () => `${data.tool} ${data.phase}`, ended: () => data.reason, settings: () => Object.keys(data.values || {}).join(", ") };
  return parts[kind] ? parts[kind]() : "";
}

function Events() {
  const [group, setGroup] = useState("All");
  const [words, setWords] = useState("");
  const [past, setPast] = useState(/** @type {Got<"/api/events/page">["events"]} */ ([]));
  const [next, setNext] = useState(undefined); // where the journal goes on; null at its end
  const shownGroup = useRef(group);
  shownGroup.current = group;
  const load = async (before, kept) => {
    const kinds = GROUPS[group] ? `&kinds=${GROUPS[group].join(",")}` : "";
    const answer = await attempt(() => get(`/api/events/page?limit=${MORE}${kinds}${before ? `&before=${before}` : ""}`));
    if (!answer || shownGroup.current !== group) return; // another was chosen meanwhile
    setPast([...kept, ...answer.events.filter((event) => event.kind !== "text")]);
    setNext(answer.next);
  };
  useEffect(() => void load(null, []), [group]);
  const [, redraw] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => redraw((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const text = words.toLowerCase();
  const known = new Set(past.map((event) => event.seq));
  const shown = [...kept.filter((event) => !known.has(event.seq)), ...past].filter((event) => (!GROUPS[group] || GROUPS[group].includes(event.kind)) && (!text || `${event.kind} ${event.session || ""} ${said(event)}`.toLowerCase().includes(text)));
  return html`<section class="card" id="events" aria-labelledby="e-h"><div class="pad stack"><div class="spread"><h2 id="e-h">Events</h2></div>
    <div class="tools"><div class="chips" role="group" aria-label="Kinds of events">${Object.keys(GROUPS).map((name) => html`<button type="button" class="chip" key=${name} aria-pressed=${group === name ? "true" : "false"} onClick=${() => setGroup(name)}>${name}</button>`)}</div><label class="with-icon"><${Icon} icon="filter" /><span class="sr">Filter events</span><input class="input" type="search" placeholder="Session, actor or kind" value=${words} onInput=${(event) => setWords(event.target.value)} /></label></div></div>
    <ol class="events">${shown.map((event) => {
      const one = event.session && sessions.value.get(event.session);
      return html`<li key=${event.seq}><time>${new Date(event.at).toLocaleTimeString()}</time><span class="kind">${event.kind}</span><span class="txt" dir="auto">${one ? html`<a href=${`#/session/${one.id}`}>${titleOf(one)}</a> ` : null}${said(event)}</span><span class="seq num">${event.seq.toLocaleString()}</span></li>`;
    })}</ol>${shown.length ? null : html`<p class="pad muted">Nothing yet.</p>`}${next ? html`<p class="pad"><${Btn} kind="tight" onClick=${() => load(next, past)}>Older</${Btn}></p>` : null}</section>`;
}

function Tokens({ rows }) {
  if (!rows.length) return null;
  const parts = rows.slice(0, 14).map((row) => ({ day: row.day, tokens: Object.values(row.usage || {}).reduce((sum, value) => sum + value, 0), replies: row.replies }));
  const most = Math.max(...parts.map((row) => row.tokens), 1);
  return html`<section class="card pad stack" aria-labelledby="u-h"><h2 id="u-h">Tokens and replies a day</h2><div class="matrix" tabindex="0" role="group" aria-label="Tokens and replies a day"><table class="lat"><thead><tr><th scope="col">Day</th><th scope="col">Tokens</th><th scope="col">Replies</th><td></td></tr></thead><tbody class="num">${parts.map((row) => html`<tr key=${row.day}><th scope="row">${row.day}</th><td>${row.tokens.toLocaleString()}</td><td>${row.replies}</td><td><svg class="meter" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width=${(row.tokens / most) * 100} height="4" /></svg></td></tr>`)}</tbody></table></div></section>`;
}

export default function Health() {
  const [report, setReport] = useState(/** @type {Got<"/api/health">} */ (null));
  const [usage, setUsage] = useState(/** @type {Got<"/api/usage">["rows"]} */ ([]));
  const [status, setStatus] = useState(/** @type {Got<"/api/status">} */ (null));
  const [at, setAt] = useState(0);
  const look = () => attempt(async () => {
    setReport(await examine());
    setAt(Date.now());
    metrics.value = await get("/api/metrics/sessions").catch(() => null);
    setStatus(await get("/api/status").catch(() => null));
    setUsage((await get("/api/usage?by=day").catch(() => ({ rows: [] }))).rows);
    return null;
  });
  useEffect(() => {
    look();
    const timer = setInterval(() => document.visibilityState === "visible" && look(), 15000);
    return () => clearInterval(timer);
  }, []);
  if (!report) return html`<main id="main" tabindex="-1"><${Bar} title="Health" /><div class="body"><${Bones} /></div></main>`;
  const order = { fail: 0, warn: 1, ok: 2 };
  const checks = [...(report.checks || [])].sort((a, b) => (order[a.status] ?? 1) - (order[b.status] ?? 1));
  const findings = checks.filter((check) => check.status !== "ok").length;
  const latency = Object.entries(/** @type {Record<string, any>} */ (metrics.value?.latency || {}));
  const held = /** @type {Record<string, any>} */ (report.resources?.sessions || {});
  return html`<main id="main" tabindex="-1"><${Bar} title="Health" mark=${findings ? html`<span class="pill you"><${Icon} icon="warn" size="s" />${many(findings, "finding")}</span>` : html`<span class="pill ok"><${Icon} icon="ok" size="s" />All well</span>`}><${IconBtn} icon="refresh" label="Check now" onClick=${look} /></${Bar}>
    <div class="body stack-l"><div class="grid-2 top">
      <section class="card" aria-labelledby="c-h"><div class="pad spread"><h2 id="c-h">Checks</h2><span class="small muted">${age(at, minute.value)}</span></div><div>${checks.map((check) => {
        const [icon, kind, word] = ICON[check.status] || ICON.warn;
        return html`<div class="check-row" key=${check.name}><span class=${kind}><${Icon} icon=${icon} /><span class="sr">${word}</span></span><b class="strong">${check.name}</b><span class="d" dir="auto">${check.detail}</span></div>`;
      })}</div></section>
      <div class="stack">
        <section class="card pad stack" aria-labelledby="v-h"><h2 id="v-h">Versions</h2><dl class="facts"><dt>pilotlight</dt><dd class="num">${report.version}</dd><dt>Claude Code</dt><dd class="num">${status?.claudeVersion || "unknown"}</dd><dt>Machine</dt><dd dir="auto">${me.value?.host || "unknown"}</dd><dt>API</dt><dd class="path">${location.origin}</dd>${status ? html`<dt>Supervisor</dt><dd class="num">process ${status.pid}, since ${age(status.startedAt)}</dd>` : null}${held.memoryBytes != null ? html`<dt>Memory</dt><dd class="num">${bytes(held.memoryBytes)} of ${bytes(held.memoryLimitBytes)}</dd>` : null}</dl></section>
        ${latency.length ? html`<section class="card pad stack" aria-labelledby="d-h"><h2 id="d-h">A message, step by step</h2><div class="matrix" tabindex="0" role="group" aria-label="Time of each step of a message"><table class="lat"><thead><tr><td></td><th scope="col">half</th><th scope="col">95 of 100</th><th scope="col">99 of 100</th></tr></thead><tbody class="num">${latency.map(([name, row]) => html`<tr key=${name}><th scope="row">${name.replace("_to_", " → ")}</th><td>${time(row.p50)}</td><td>${time(row.p95)}</td><td>${time(row.p99)}</td></tr>`)}</tbody></table></div></section>` : null}
      </div></div>
      <${Plots} limits=${settings.value} /><${Tokens} rows=${usage} /><${Events} /></div></main>`;
}
