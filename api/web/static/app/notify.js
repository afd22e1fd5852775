// Who is told: this browser, the other devices and channels, each with its last success and its last error, a test that shows every
// hop, and rules; and what was told to whom, or was not, and why.
import { html, useEffect, useState } from "../vendor/preact.js";
import { del, get, patch, post } from "./api.js";
import { look, obstacle, recipient, subscribe, unsubscribe } from "./push.js";
import { attempt, may, me, note } from "./store.js";
import { Btn, confirm, Icon, Item, Menu } from "./ui.js";
import { ago, clock } from "./words.js";

const KINDS = {
  waiting: "Asks something", login: "Needs a login", limit: "A usage limit", answered: "Answered after a while", failed: "A message failed",
  warning: "Will expire", expired: "Has expired", crashed: "Crashed and resumed", pressure: "Memory or CPU are short", stuck: "No progress",
  scheduled: "Planned, and not done",
};
const CONTENT = { none: "only that there is something", title: "which session, and what kind", text: "also the question or the reply" };
const ICONS = { webpush: "laptop", apns: "phone", ntfy: "bell", webhook: "globe", apprise: "bell", command: "bash" };
const HOUR = 3600000;
const FOREVER = -1;

const mutedUntil = (one) => (one.rules.mutedUntil === FOREVER ? "for good" : one.rules.mutedUntil > Date.now() ? `until ${clock(one.rules.mutedUntil)}` : null);

function health(one) {
  const muted = mutedUntil(one);
  const parts = [
    muted && `Muted ${muted}`,
    one.successAt ? `told ${ago(one.successAt)}` : "nothing told yet",
    one.error && `failed ${ago(one.errorAt)}: ${one.error}`,
    one.waiting && `${one.waiting} on the way`,
  ].filter(Boolean).join(", ");
  return parts[0].toUpperCase() + parts.slice(1);
}

function Hops({ result, id }) {
  const [notice, setNotice] = useState(result.notice);
  useEffect(() => {
    let left = 10;
    const timer = setInterval(async () => {
      const answer = await get(`/api/notifications?limit=20&recipient=${encodeURIComponent(id)}`).catch(() => null);
      const found = answer?.notices.find((one) => one.key === notice.key);
      if (found) setNotice(found);
      if (!--left || found?.shownAt) clearInterval(timer);
    }, 1000);
    return () => clearInterval(timer);
  }, [result]);
  const hops = [["Sent", true, ""], ["Accepted", result.accepted, result.accepted ? `${result.milliseconds} ms` : result.detail], ["Received", Boolean(notice.receivedAt), notice.receivedAt ? clock(notice.receivedAt) : "not said yet"], ["Shown", Boolean(notice.shownAt), notice.shownAt ? clock(notice.shownAt) : "not said yet"]];
  return html`<ol class="hops small" role="status">${hops.map(([name, ok, why]) => html`<li key=${name} class=${ok ? "ok" : name === "Accepted" ? "bad" : "muted"}><${Icon} icon=${ok ? "check" : name === "Accepted" ? "failed" : "queued"} size="s" /><span>${name}${why ? html` <span class="muted" dir="auto">${why}</span>` : null}</span></li>`)}</ol>`;
}

function Rules({ one, save }) {
  const rules = one.rules;
  const wanted = rules.kinds || Object.keys(KINDS);
  const toggle = (kind) => (event) => {
    const next = Object.keys(KINDS).filter((name) => (name === kind ? event.target.checked : wanted.includes(name)));
    save({ ...rules, kinds: next.length === Object.keys(KINDS).length ? null : next });
  };
  const quiet = (side) => (event) => {
    const next = { start: "22:00", end: "07:00", ...rules.quiet, [side]: event.target.value };
    save({ ...rules, quiet: next, zone: rules.zone || Intl.DateTimeFormat().resolvedOptions().timeZone });
  };
  const admin = may("chat");
  return html`<details class="rules"><summary class="small">Rules: ${rules.kinds ? `${rules.kinds.length} of ${Object.keys(KINDS).length} kinds` : "everything"}, tells ${CONTENT[rules.content]}${rules.quiet ? `, quiet ${rules.quiet.start}–${rules.quiet.end}` : ""}</summary>
    <div class="stack">
      <fieldset class="kinds"><legend class="small strong">Tell of</legend>${Object.entries(KINDS).map(([kind, title]) => html`<label class="inline small" key=${kind}><input class="tick" type="checkbox" disabled=${!admin} checked=${wanted.includes(kind)} onChange=${toggle(kind)} />${title}</label>`)}</fieldset>
      <label class="inline small">What leaves this machine <span class="select-box"><select class="select" disabled=${!admin} value=${rules.content} onChange=${(event) => save({ ...rules, content: event.target.value })} aria-label=${`What is told: ${one.name}`}>${Object.entries(CONTENT).map(([name, title]) => html`<option value=${name} key=${name}>${title}</option>`)}</select><${Icon} icon="down" /></span></label>
      <div class="btns small"><label class="inline"><input class="tick" type="checkbox" disabled=${!admin} checked=${Boolean(rules.quiet)} onChange=${(event) => save({ ...rules, quiet: event.target.checked ? { start: "22:00", end: "07:00" } : null, zone: rules.zone || Intl.DateTimeFormat().resolvedOptions().timeZone })} />Quiet hours</label>
        ${rules.quiet ? html`<label class="inline">from <input class="input num" type="time" disabled=${!admin} value=${rules.quiet.start} onChange=${quiet("start")} /></label><label class="inline">to <input class="input num" type="time" disabled=${!admin} value=${rules.quiet.end} onChange=${quiet("end")} /></label><span class="muted">${rules.zone || "this machine’s time"}; what still matters comes in one afterwards</span>` : null}</div>
    </div></details>`;
}

function One({ one, reload }) {
  const [result, setResult] = useState(null);
  const mine = recipient.value?.id === one.id;
  const path = `/api/recipients/${encodeURIComponent(one.id)}`;
  const save = async (rules) => (await attempt(() => patch(path, { rules }))) && reload();
  const test = async () => {
    setResult(null);
    setResult(await attempt(() => post(`${path}/test`, {}, { patience: 60000 })));
    reload();
  };
  const remove = async () => {
    if (await confirm(`Tell “${one.name}” no more?`, "It is forgotten with its rules.", "Remove")) {
      await attempt(() => (mine ? unsubscribe() : del(path).then(() => null)));
      reload();
    }
  };
  const mute = (until) => save({ ...one.rules, mutedUntil: until });
  return html`<div class="item told" key=${one.id}><span class="ic"><${Icon} icon=${ICONS[one.kind] || "bell"} /></span>
    <div class="grow"><b class="strong" dir="auto">${one.name}</b> <span class="muted small">${mine ? "this one" : one.place}${one.configured ? ", in the configuration" : ""}</span>
      <div class=${`small ${one.error ? "bad-text" : "muted"}`} dir="auto">${health(one)}</div><${Rules} one=${one} save=${save} />${result ? html`<${Hops} result=${result} id=${one.id} />` : null}</div>
    <span class="end under">${may("admin") || (may("chat") && [null, undefined, `${me.value?.kind}:${me.value?.name}`].includes(one.by)) ? html`<${Btn} kind="tight" onClick=${test}>Test</${Btn}><${Menu} label=${`More: ${one.name}`}>${() => html`
      ${mutedUntil(one) ? html`<${Item} icon="bell" onClick=${() => mute(null)}>Tell again</${Item}>` : html`<${Item} icon="hibernated" onClick=${() => mute(Date.now() + HOUR)}>Mute for an hour</${Item}><${Item} icon="hibernated" onClick=${() => mute(FOREVER)}>Mute for good</${Item}>`}
      ${one.configured ? null : html`<hr /><${Item} icon="x" danger onClick=${remove}>Remove…</${Item}>`}`}</${Menu}>` : null}</span></div>`;
}

function Log() {
  const [notices, setNotices] = useState(/** @type {Got<"/api/notifications">["notices"]} */ (null));
  const load = () => get("/api/notifications?limit=50").then((answer) => setNotices(answer.notices), () => setNotices([]));
  return html`<details class="opt-row" onToggle=${(event) => event.target.open && load()}><summary>What was told, and what was not and why</summary>
    <ol class="events">${(notices || []).map((one) => html`<li key=${`${one.recipient}.${one.key}`}><time>${clock(one.at)}</time><span class="kind">${one.state}</span><span class="txt" dir="auto">${one.title}<span class="muted"> · ${one.recipientName}${one.reason ? ` · ${one.reason}` : ""}${one.shownAt ? ` · shown ${clock(one.shownAt)}` : ""}</span></span></li>`)}</ol>${notices && !notices.length ? html`<p class="pad muted small">Nothing yet.</p>` : null}</details>`;
}

export function Notifications() {
  const [all, setAll] = useState(/** @type {Got<"/api/recipients">["recipients"]} */ (null));
  const [busy, setBusy] = useState(false);
  const reload = () => get("/api/recipients").then((answer) => setAll(answer.recipients), () => {});
  useEffect(() => {
    reload();
    if (obstacle.value === undefined) look().then(reload, () => {});
  }, []);
  const turnOn = async () => {
    setBusy(true);
    try {
      await subscribe();
      note("This browser is told from now on.");
    } catch (error) {
      note(error.message, true);
    }
    setBusy(false);
    reload();
  };
  const why = obstacle.value || (busy ? "one moment" : undefined);
  return html`<section class="set" id="notifications"><header><h2>Notifications</h2><p>Told when Claude needs you, has finished or has failed; once, and not where you look anyway.</p></header>
    ${recipient.value ? null : html`<div class="opt-row stack"><div class="btns"><${Btn} icon="bell" why=${why} onClick=${turnOn}>Tell this browser</${Btn}></div>${obstacle.value ? html`<p class="small muted">${obstacle.value}</p>` : null}</div>`}
    <div class="channels">${(all || []).map((one) => html`<${One} one=${one} reload=${reload} key=${one.id} />`)}</div>
    ${all && !all.length ? html`<div class="opt-row small muted"><p>Nobody is told yet. Other channels (ntfy, webhooks, mail): <code>pilotlight notify add</code>.</p></div>` : null}
    <${Log} /></section>`;
}
