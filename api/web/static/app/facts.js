// What is known of one session: its time, its process, what it is set to, what it has used, and what happened in it. Beside the
// conversation where there is room, otherwise over it for as long as somebody looks.
import { html, signal, useEffect, useState } from "../vendor/preact.js";
import { get, patch } from "./api.js";
import { Spark, useSamples } from "./plots.js";
import { attempt, may, settings } from "./store.js";
import { Icon, IconBtn, Left } from "./ui.js";
import { bytes, clock, minute, MODES, shortPath, STEPS, waitingMessages } from "./words.js";

const room = matchMedia("(min-width: 1280px)");
export const beside = signal(room.matches);
room.addEventListener("change", () => (beside.value = room.matches));

/** @type {[string, string][]} */
const MODELS = [["", "Default"], ["opus", "Opus"], ["sonnet", "Sonnet"], ["haiku", "Haiku"]];

function Choice({ label, value, options, why, onChoose }) {
  const all = options.some(([name]) => name === value) ? options : [...options, [value, value]];
  return html`<span class="select-box"><select class="select" aria-label=${label} title=${why} disabled=${Boolean(why)} value=${value} onChange=${(event) => onChoose(event.target.value || null)}>${all.map(([name, title]) => html`<option value=${name} key=${name} selected=${name === value}>${title}</option>`)}</select><${Icon} icon="down" /></span>`;
}

const short = (count) => (count >= 1e6 ? `${(count / 1e6).toFixed(1)} M` : count >= 1000 ? `${Math.round(count / 1000)}k` : `${count}`);

// Tokens since the beginning; what was read from the cache is part of what went in.
function useUsage(session) {
  const [used, setUsed] = useState("");
  useEffect(() => {
    let here = true;
    get(`/api/usage?session=${session.id}&by=session`).then(({ total }) => {
      const cached = total.cache_read_input_tokens || 0;
      const went = (total.input_tokens || 0) + (total.cache_creation_input_tokens || 0) + cached;
      if (here && went) setUsed(`${short(went)} in (${Math.round((100 * cached) / went)} % cached), ${short(total.output_tokens || 0)} out`);
    }, () => {});
    return () => (here = false);
  }, [session.id, session.messageCount, session.state]);
  return used;
}

const SAID = { message: (data) => data.state === "replied" ? "Claude has replied" : `Your message was ${STEPS[data.state]?.toLowerCase() || data.state}`, state: (data) => `Now ${data.to}`, waiting: () => "Waits for you", answered: () => "Answered what it asked", crashed: () => "Its process died", resumed: () => "It is back", ended: (data) => `Ended: ${data.reason}`, warning: () => "Will expire soon" };

/** @param {{session: Session, talk: import("./talk.js").Talk, close: (() => void) | null}} given */
export function Facts({ session, talk, close }) {
  useSamples();
  const used = useUsage(session);
  const set = (values) => attempt(() => patch(`/api/sessions/${session.id}`, values));
  const hours = settings.value || {};
  const warning = session.expiresAt && !session.warned && hours["sessions.warning_hours"] ? `warns after ${hours["sessions.warning_hours"]} h` : "";
  const left = session.expiresAt && hours["sessions.timeout_hours"] ? (session.expiresAt - minute.value) / (hours["sessions.timeout_hours"] * 3600000) : null;
  const unknown = session.pid ? "not measured yet" : "none";
  const chat = may("chat") ? undefined : "needs chat";
  const later = session.settingsPending ? html`<span class="muted tiny">from the next process on</span>` : null;
  const rows = [["Folder", shortPath(session.projectPath)],
    ["Model", html`<${Choice} label="Model" value=${session.model || ""} options=${MODELS} why=${chat} onChoose=${(model) => set({ model })} />${later}`],
    ["Mode", html`<${Choice} label="Mode" value=${session.permissionMode || "default"} options=${Object.entries(MODES)} why=${may("admin") ? undefined : "needs admin"} onChoose=${(mode) => set({ permissionMode: mode === "default" ? null : mode })} />`],
    ["Messages", `${session.messageCount}${waitingMessages(session) ? `, ${waitingMessages(session)} in the queue` : ""}`],
    ["Tokens", used || null], ["Claude", session.claudeVersion], ["Process", session.pid],
    ["Looking", session.viewers ? `${session.viewers}${session.writer ? `, ${session.writer} types` : ""}` : null]];
  return html`<aside class="pane-facts" aria-label="About this session">
    ${close ? html`<div class="spread"><h2>About this session</h2><${IconBtn} icon="x" label="Close" onClick=${close} /></div>` : null}
    <section class="box"><h2>Time left</h2><p class="spread"><span class="strong"><${Left} session=${session} /></span><span class="muted small">${warning}</span></p>${left == null ? null : html`<svg class=${`meter ${session.warned ? "warn" : "quiet"}`} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width=${Math.max(0, Math.min(100, left * 100))} height="4" /></svg>`}<label class="switch small"><input type="checkbox" role="switch" checked=${session.autoKeepAlive} disabled=${Boolean(chat)} onChange=${(event) => set({ autoKeepAlive: event.target.checked })} /><span>Extend by itself</span></label></section>
    <section class="box"><h2>Process</h2><dl class="facts"><dt>Memory</dt><dd class="num trend">${bytes(session.memoryBytes) || unknown}<${Spark} id=${session.id} /></dd><dt>CPU</dt><dd class="num trend">${session.cpuPercent != null ? `${Math.round(session.cpuPercent)} %` : unknown}<${Spark} id=${session.id} field="cpuPercent" /></dd></dl></section>
    <section class="box"><h2>Conversation</h2><dl class="facts">${rows.filter(([, value]) => value != null).map(([name, value]) => html`<dt>${name}</dt><dd dir="auto" class=${name === "Folder" ? "path" : ""}>${value}</dd>`)}</dl></section>
    ${talk.happened.value.length ? html`<section class="box"><h2>What happened</h2><ol class="log">${talk.happened.value.slice(-8).reverse().map((event) => html`<li key=${event.seq}><time>${clock(event.at)}</time><span>${(SAID[event.kind] || (() => event.kind))(event.data)}</span></li>`)}</ol></section>` : null}</aside>`;
}
