// Every session: how much room there is, what waits for a person, and the list. Rows keep their place while somebody points, reads
// or types: the order is made when the list opens, when the sort changes, and after five quiet seconds.
import { html, signal, useEffect, useMemo, useRef } from "../vendor/preact.js";
import { away, del, patch, post } from "./api.js";
import { Bar, go, useKeys } from "./shell.js";
import { asOf, attempt, doing, during, hindrance, keepDraft, live, loaded, may, me, metrics, nodes, note, put, sessions, settings, waiting } from "./store.js";
import { Age, askFor, Bones, Btn, Empty, Icon, Item, Left, Menu, Meter, State, confirm } from "./ui.js";
import { age, askedOf, asker, bytes, COMMAND_KEY, GIGABYTE, many, minute, shortPath, stateOf, titleOf, visible, waitingMessages } from "./words.js";

const DAY = 86400000;
const QUIET_MS = 5000;
const RESTART_MS = 10000;
const MOST_ROWS = 40;
const LATER_MS = 800;
const AT_ONCE = 1; // rows that are put in place in one go: with each its whole group may move, and be laid out anew
const FIRST_ROWS = 4;
const MORE_ROWS = 8;
const NO_RECAP = { waiting: "it waits for you first", busy: "it is at work", starting: "it is starting", stopping: "it is being ended", ended: "it has ended", unknown: "what it does is not known", failed: "it could not be asked", interrupted: "it was interrupted", cancelled: "it was taken back", too_many_requests: "too many are asked for at once" };
const filter = signal("all");
const words = signal("");
const sort = signal(localStorage.getItem("sort") || "activity");
const grouped = signal(localStorage.getItem("grouped") !== "no");
const picked = signal(new Set());
const shown = signal(MOST_ROWS);
const drawnRows = signal(FIRST_ROWS); // of those that are shown, as many as are there already
const order = signal([]);
const focusAt = signal(-1);

/** @type {Record<string, [string, (a: Session, b: Session) => number]>} */
const SORTS = {
  activity: ["activity", (a, b) => b.lastActivity - a.lastActivity],
  state: ["state", (a, b) => stateOf(a).word.localeCompare(stateOf(b).word) || b.lastActivity - a.lastActivity],
  left: ["time left", (a, b) => (a.expiresAt || Infinity) - (b.expiresAt || Infinity)],
  memory: ["memory", (a, b) => (b.memoryBytes || 0) - (a.memoryBytes || 0)],
  title: ["title", (a, b) => titleOf(a).localeCompare(titleOf(b))],
};
const CHIPS = [["all", "All", null], ["waiting", "Waiting", "attention"], ["busy", "Busy", "busy"], ["idle", "Idle", "idle"],
  ["hibernated", "Hibernated", "hibernated"], ["unknown", "Unknown", "unknown"], ["ended", "Ended", "killed"], ["soon", "Time is short", "expired"]];

/** @param {Session} one */
const recent = (one) => one.state !== "ended" || minute.value - (one.endedAt || 0) < DAY;
/** @type {(one: Session, name: string) => boolean} */
const inFilter = (one, name) => (name === "all" ? recent(one) : name === "soon" ? one.warned && one.state !== "ended" : one.state === name);

export const extend = (one) => attempt(() => post("/api/sessions/keep-alive", { sessionId: one.id, action: "extend" }), "Extended.");
export const hibernate = (one) => during(one, "Goes to sleep", () => post(`/api/sessions/${one.id}/hibernate`, {}, { patience: 90000 }));
export const wake = (one) => during(one, "Wakes", () => post(`/api/sessions/${one.id}/wake`, {}, { patience: 90000 }));
export const reopen = (one) => attempt(() => post(`/api/sessions/${one.id}/reopen`));
export const interrupt = (one) => attempt(() => post(`/api/sessions/${one.id}/interrupt`));
const recycle = (one) => during(one, "Gets a new process", () => post(`/api/sessions/${one.id}/recycle`, {}, { patience: 90000 }), "It has a new process; the conversation goes on.");
const recap = (one) => during(one, "Writes a recap", () => post("/api/sessions/keep-alive", { sessionId: one.id, action: "recap" }, { patience: 180000 }), (answer) => (!answer.recapSkipped ? "The recap is in the conversation." : answer.recapSkipped === "timeout" ? "Extended. The recap takes longer, and will be in the conversation." : `Extended. No recap: ${NO_RECAP[answer.recapSkipped] || answer.recapSkipped}.`));
/** @param {Session} one */
async function rename(one) {
  const title = await askFor("What it is called", titleOf(one));
  if (title) await attempt(() => patch(`/api/sessions/${one.id}`, { title }));
}

/**
 * Why what changes a session cannot be done with it now, by its name; the menu shows it, and a key is told it.
 * @param {Session} one
 * @returns {Record<string, string | undefined>}
 */
function whyNot(one) {
  const asleep = one.state === "hibernated";
  const chat = hindrance("chat");
  const ended = chat || (one.state === "ended" ? "it has ended" : undefined);
  const atRest = ended || doing.value[one.id] || (one.state === "idle" ? undefined : "when it is at rest");
  const admin = hindrance("admin");
  return {
    rename: chat,
    extend: ended,
    recap: asleep && !doing.value[one.id] ? chat : atRest,
    hibernate: admin || (asleep ? "asleep" : atRest),
    recycle: admin || atRest,
    wake: asleep ? chat || doing.value[one.id] : ended || "it is awake",
  };
}

/**
 * The keys for one session: in the list for the one in focus, in its conversation for the one that is open.
 * @param {() => Session | undefined} current
 */
export function keysOf(current) {
  const acts = { rename, extend, recap, hibernate, wake, terminal: (one) => (location.href = `/terminal#${one.id}`) };
  return Object.fromEntries(Object.entries(acts).map(([name, act]) => [name, () => {
    const one = current();
    const why = one && whyNot(one)[name];
    if (why) note(`${name[0].toUpperCase()}${name.slice(1)}: ${why}.`, true);
    else if (one) act(one);
  }]));
}

// What is being done with it, while it is.
export const Doing = ({ id, kind = "" }) => html`<span class=${`doing ${kind}`} role="status"><${Icon} icon="accepted" size="s" />${doing.value[id]}…</span>`;
/** @param {Session} one */
export const unseen = (one) => one.lastWords?.role === "assistant" && one.lastWords.at > one.seenAt && one.seenAt > 0;
/**
 * A new session that goes on from here; or from before a message, which is then written there and not sent: to ask it in another way.
 * @param {Session} one
 * @param {{id: string, text: string}} [message]
 */
export async function fork(one, message) {
  const body = message ? { before: message.id } : {};
  const made = await attempt(() => post(`/api/sessions/${one.id}/fork`, body, { patience: 60000 }), "A new session goes on from here.");
  if (!made) return;
  if (message) keepDraft(made.session.id, message.text);
  go(`/session/${made.session.id}`);
}
/** @param {Session} one */
export async function end(one) {
  const busy = one.state === "busy", waits = waitingMessages(one);
  const lost = ["Its process ends", busy && "the turn under way stops", waits && `${many(waits, "queued message")} will not be sent`].filter(Boolean).join(", ");
  const text = `${lost.replace(/, ([^,]*)$/, " and $1")}. The conversation stays and can be reopened.`;
  const answer = await confirm(`End “${titleOf(one)}”?`, text, "End session", busy && "Only stop the turn");
  if (answer === true) await attempt(() => del(`/api/sessions/${one.id}`, { patience: 90000 }), "Ended.");
  else if (answer) await interrupt(one);
}

function sorted() {
  return [...sessions.value.values()].sort(SORTS[sort.value][1]).map((one) => one.id);
}

// The order `now`, with the next few rows where they belong; those that nobody sees are put right with the last of them.
function nearer(now, wanted) {
  const from = wanted.findIndex((id, index) => id !== now[index]);
  if (from < 0 || from + AT_ONCE >= shown.value) return wanted;
  const placed = new Set(wanted.slice(0, from + AT_ONCE));
  const known = new Set(wanted);
  return [...new Set([...placed, ...now.filter((id) => known.has(id)), ...wanted])];
}

const later = (act) => (self.requestIdleCallback ? requestIdleCallback(act, { timeout: 300 }) : setTimeout(act, 50));
const notLater = (id) => (self.cancelIdleCallback ? cancelIdleCallback(id) : clearTimeout(id));

function useOrder(root) {
  useEffect(() => {
    let touched = 0;
    const touch = () => (touched = Date.now());
    let next = 0;
    const quiet = () => {
      const reading = root.current && (root.current.matches(":hover") || root.current.contains(document.activeElement));
      return Date.now() - touched > QUIET_MS && !reading;
    };
    const look = () => {
      if (!quiet()) return;
      order.value = nearer(order.value, sorted());
      if (order.value.join() !== sorted().join()) next = later(look);
    };
    const grow = () => {
      drawnRows.value += MORE_ROWS;
      if (drawnRows.value < MOST_ROWS) next = later(grow);
    };
    order.value = sorted();
    drawnRows.value = FIRST_ROWS;
    next = later(grow);
    const timer = setInterval(look, 2500);
    for (const name of ["pointermove", "keydown", "scroll", "touchstart"]) addEventListener(name, touch, { passive: true, capture: true });
    return () => {
      clearInterval(timer);
      notLater(next);
      for (const name of ["pointermove", "keydown", "scroll", "touchstart"]) removeEventListener(name, touch, { capture: true });
    };
  }, [sort.value, loaded.value]);
}

function Room() {
  const limits = settings.value || {};
  const most = limits["sessions.max_concurrent"] || 10;
  const totalGb = limits["limits.memory_total_gb"] || 2;
  const used = live.value.reduce((sum, one) => sum + (one.memoryBytes || 0), 0);
  const measured = used > 0 || !live.value.length; // soon after a start nothing is known yet
  const cpu = live.value.reduce((sum, one) => sum + (one.cpuPercent || 0), 0);
  const asleep = [...sessions.value.values()].filter((one) => one.state === "hibernated").length;
  const free = Math.max(0, most - live.value.length);
  const slots = live.value.map((one) => stateOf(one).color).sort((a, b) => "busy waiting".indexOf(b) - "busy waiting".indexOf(a));
  return html`<section aria-label="Room" class="section"><dl class="room">
    <div><dt><${Icon} icon="sessions" size="s" />Live sessions</dt><dd><span class="v">${live.value.length} <small>of ${most}<span class="mid"> · ${many(free, "slot")} free</span></small></span>
      <ul class="slots" aria-label=${`${live.value.length} live, ${free} free`}>${slots.slice(0, 20).map((color, index) => html`<li class=${`s-${color}`} key=${index}></li>`)}${Array.from({ length: Math.min(20, free) }, (_, index) => html`<li class="free" key=${`f${index}`}></li>`)}</ul></dd></div>
    <div><dt><${Icon} icon="memory" size="s" />Memory</dt><dd><span class="v">${measured ? (used / GIGABYTE).toFixed(2) : "…"} <small>of ${totalGb} GB</small></span><${Meter} part=${used / (totalGb * GIGABYTE)} label=${`Memory: ${measured ? bytes(used) : "not measured yet,"} of ${totalGb} GB`} /></dd></div>
    <div class="more-room"><dt><${Icon} icon="cpu" size="s" />CPU of the sessions</dt><dd><span class="v">${Math.round(cpu)} <small>% · limit ${limits["limits.cpu_percent"] || 80} %</small></span><${Meter} part=${cpu / 100} label=${`CPU: ${Math.round(cpu)} percent`} /></dd></div>
    <div class="more-room"><dt><${Icon} icon="hibernated" size="s" />Asleep</dt><dd><span class="v">${asleep} <small>cost nothing<span class="wide">, wake in 1 s</span></small></span></dd></div>
  </dl></section>`;
}

const given = new Set();
/** @param {{one: Waits}} given */
function Ask({ one }) {
  const asked = one.waiting;
  const command = asked.tool === "Bash" && asked.input && String(asked.input.command || "");
  const quick = asked.for === "permission" && command && command.length < 120 && visible(command) === command && !command.includes("\n") && may("answer");
  const why = hindrance("answer");
  const give = async (choice) => {
    if (given.has(asked.id)) return; // a second click is the same answer
    given.add(asked.id);
    if (!(await attempt(() => post(`/api/sessions/${one.id}/answer`, { waitingId: asked.id, choice })))) given.delete(asked.id);
  };
  return html`<article class="ask-mini"><div class="head"><${State} session=${one} /><time class="muted">${age(asked.since || minute.value)}</time></div>
    <h3 class="clip" dir="auto">${titleOf(one)}</h3>
    ${asked.agent ? html`<p class="what" dir="auto">${asker(asked)}</p>` : null}
    ${command ? html`<code class=${`what${quick ? "" : " clip-2"}`} dir="ltr">${visible(command)}</code>` : html`<p class=${`what clip-2${asked.input?.file_path ? " mono" : ""}`} dir="auto">${askedOf(asked, one.projectPath)}</p>`}
    <div class="btns">${quick
      ? html`<${Btn} kind="you" why=${why} onClick=${() => give("allow")}>Allow once</${Btn}><${Btn} why=${why} onClick=${() => give("deny")}>Deny</${Btn}><a class="btn quiet wide" href=${`#/attention/${one.id}`}>Details</a>`
      : html`<a class="btn you" href=${`#/attention/${one.id}`}>${asked.for === "plan" ? "Read the plan" : asked.for === "question" ? (asked.questions?.length > 1 ? `Answer ${asked.questions.length} questions` : "Answer") : "Look"}</a>`}</div></article>`;
}

// The small charts come behind the first view.
const plots = signal(null);
function usePlots() {
  useEffect(() => {
    if (!plots.value) setTimeout(() => import("./plots.js").then((module) => (plots.value = module), () => {}), LATER_MS);
  }, []);
  useEffect(() => plots.value?.watch(), [plots.value]);
}
const Spark = (given) => (plots.value ? html`<${plots.value.Spark} ...${given} />` : null);

// What is said on the page when pilotlight is away for longer than a restart takes.
const gone = signal(null);
function Gone() {
  const long = away.value && minute.value - away.value.since > RESTART_MS;
  useEffect(() => {
    if (long && !gone.value) import("./away.js").then((module) => (gone.value = module), () => {});
  }, [long]);
  return long && gone.value ? html`<${gone.value.Away} />` : null;
}

// Behind a gateway an id begins with the name of its node.
const nodeOf = (one) => (one.id.includes("~") ? one.id.split("~")[0] : null);

// A row whose session is the very same object is not drawn again: of 200 sessions ten change in a second.
const drawn = new WeakMap();
function rowOf(one) {
  if (!drawn.has(one)) drawn.set(one, html`<${Row} one=${one} key=${one.id} />`);
  return drawn.get(one);
}

/** @param {{one: Session}} given */
function Row({ one }) {
  const href = `#/session/${one.id}`;
  const chosen = picked.value.has(one.id);
  const pick = () => {
    const next = new Set(picked.value);
    if (!next.delete(one.id)) next.add(one.id);
    picked.value = next;
  };
  const ended = one.state === "ended";
  const asleep = one.state === "hibernated";
  const last = one.lastWords;
  const waits = waitingMessages(one);
  const queued = waits ? html`<span class="inline"><${Icon} icon="queued" size="s" />${waits} queued</span>` : null;
  return html`<li class=${`row${chosen ? " selected" : ""}`} data-id=${one.id}>
    <span class="pick"><input class="tick" type="checkbox" checked=${chosen} onChange=${pick} aria-label=${`Select: ${titleOf(one)}`} /></span>
    <span class="st"><${State} session=${one} /></span>
    <span class="main"><a class=${`title clip${unseen(one) ? " unseen" : ""}`} dir="auto" href=${href} title=${titleOf(one)}>${titleOf(one)}${unseen(one) ? html`<span class="sr">, not read yet</span>` : null}</a>${doing.value[one.id] ? html`<${Doing} id=${one.id} kind="words clip" />` : html`<span class="words clip" dir="auto">${last ? html`<b>${last.role === "user" ? "You" : "Claude"}:</b> ${last.text}` : shortPath(one.projectPath)}</span>`}</span>
    <span class="meta"><${State} session=${one} plain />${queued}</span>
    <span class=${`cell${asleep || ended ? " muted" : ""}`}>${asleep ? "Asleep" : ended ? "" : html`<${Spark} id=${one.id} />${bytes(one.memoryBytes)}`}</span>
    <span class="cell opt">${one.cpuPercent != null && !ended && !asleep ? html`<${Spark} id=${one.id} field="cpuPercent" />${Math.round(one.cpuPercent)} %` : ""}</span>
    <span class="cell">${many(one.messageCount, "message")}${queued ? html`<br /><span class="muted">${queued}</span>` : null}${one.scheduled?.length && !ended ? html`<br /><span class="muted">planned</span>` : null}</span>
    <span class="cell">${ended ? html`<span class="muted">ended <${Age} at=${one.endedAt || one.lastActivity} /> ago</span>` : html`<${Left} session=${one} bar=${settings.value?.["sessions.timeout_hours"]} />`}</span>
    <span class="cell opt muted">${one.warned && !ended ? html`<${Btn} icon="extend" kind="tight" aria-label=${`Extend: ${titleOf(one)}`} onClick=${() => extend(one)}>Extend</${Btn}>` : html`<${Age} at=${one.lastActivity} />`}</span>
    <span class="side"><span class="tiny muted"><${Age} at=${one.lastActivity} /></span><${SessionMenu} one=${one} pick=${pick} /></span>
  </li>`;
}

/** @param {{one: Session, pick?: () => void, more?: unknown}} given */
export function SessionMenu({ one, pick, more }) {
  const why = whyNot(one);
  return html`<${Menu} label=${`More: ${titleOf(one)}`}>${() => html`
    ${more}<${Item} icon="edit" why=${why.rename} onClick=${() => rename(one)}>Rename</${Item}>
    ${one.state === "ended" ? html`<${Item} icon="wake" why=${why.rename} onClick=${() => reopen(one)}>Reopen</${Item}>` : html`<${Item} icon="extend" why=${why.extend} onClick=${() => extend(one)}>Extend</${Item}><${Item} icon="recap" why=${why.recap} onClick=${() => recap(one)}>Recap</${Item}>`}
    ${one.state === "hibernated" ? html`<${Item} icon="wake" why=${why.wake} onClick=${() => wake(one)}>Wake</${Item}>` : null}
    ${["busy", "waiting"].includes(one.state) ? html`<${Item} icon="stop" why=${why.rename} onClick=${() => interrupt(one)}>Interrupt</${Item}>` : null}
    <${Item} icon="fork" why=${why.rename} onClick=${() => fork(one)}>Fork</${Item}>
    ${one.state !== "ended" && one.state !== "hibernated" ? html`<${Item} icon="refresh" why=${why.recycle} onClick=${() => recycle(one)}>New process</${Item}>` : null}
    <${Item} icon="terminal" href=${`/terminal#${one.id}`}>Terminal</${Item}>
    ${pick ? html`<${Item} icon="check" onClick=${pick}>Select</${Item}>` : null}
    ${one.state !== "ended" ? html`<hr /><${Item} icon="hibernated" why=${why.hibernate} onClick=${() => hibernate(one)}>Hibernate</${Item}>
      <${Item} icon="killed" danger why=${hindrance("admin")} onClick=${() => end(one)}>End session…</${Item}>` : null}
  `}</${Menu}>`;
}

function Bulk() {
  const chosen = [...picked.value].map((id) => sessions.value.get(id)).filter(Boolean);
  if (!chosen.length) return null;
  const each = async (act, said) => {
    const left = new Set();
    for (let at = 0; at < chosen.length; at += 4) {
      const results = await Promise.allSettled(chosen.slice(at, at + 4).map((one) => act(one)));
      results.forEach((result, index) => result.status === "rejected" && left.add([chosen[at + index].id, result.reason.message]));
    }
    picked.value = new Set([...left].map(([id]) => id));
    if (left.size) note(`${left.size} of ${chosen.length} refused: ${[...left][0][1]}`, true);
    else note(said);
  };
  const endAll = async () => {
    if (await confirm(`End ${many(chosen.length, "session")}?`, "Their processes end. The conversations stay and can be reopened.", "End them")) {
      each((one) => del(`/api/sessions/${one.id}`, { patience: 90000 }).then((answer) => put(answer.session)), "Ended.");
    }
  };
  const admin = hindrance("admin");
  return html`<div class="bulk" role="region" aria-label="Selection"><b>${chosen.length}<span> selected</span></b>
    <${Btn} icon="extend" why=${hindrance("chat")} onClick=${() => each((one) => post("/api/sessions/keep-alive", { sessionId: one.id }), "Extended.")}>Extend</${Btn}>
    <${Btn} icon="hibernated" why=${admin} onClick=${() => each((one) => post(`/api/sessions/${one.id}/hibernate`), "Asleep.")}>Hibernate</${Btn}>
    <${Btn} icon="killed" kind="danger" why=${admin} onClick=${endAll}>End…</${Btn}>
    <${Btn} kind="quiet" onClick=${() => (picked.value = new Set())}>Clear</${Btn}></div>`;
}

const heavy = (members) => {
  const taken = members.reduce((sum, one) => sum + (["ended", "hibernated"].includes(one.state) ? 0 : one.memoryBytes || 0), 0);
  return taken ? html`<span class="mid"> · ${bytes(taken)}</span>` : null;
};
const by = (name) => (sort.value === name ? html` <${Icon} icon="down" size="s" /><span class="sr">, sorted by it</span>` : null);
const hour = (name = "") => html`${plots.value ? ", 1 h" : null}${by(name)}`;

function List() {
  const root = useRef(null);
  useOrder(root);
  const all = sessions.value;
  const listedAlready = new Set(order.value);
  const fresh = [...all.keys()].filter((id) => !listedAlready.has(id));
  const text = words.value.trim().toLowerCase();
  const rows = order.value.map((id) => all.get(id)).filter(Boolean)
    .filter((one) => inFilter(one, filter.value))
    .filter((one) => !text || `${titleOf(one)} ${one.projectPath} ${one.lastWords?.text || ""}`.toLowerCase().includes(text));
  const listed = rows.slice(0, shown.value === MOST_ROWS ? Math.min(MOST_ROWS, drawnRows.value) : shown.value);
  const groups = useMemo(() => {
    if (!grouped.value) return [["all", null, null, listed]];
    const map = new Map();
    for (const one of listed) {
      const key = `${nodeOf(one) || ""} ${one.projectPath}`;
      if (!map.has(key)) map.set(key, [key, nodeOf(one), one.projectPath, []]);
      map.get(key)[3].push(one);
    }
    return [...map.values()].sort((a, b) => (a[1] || "").localeCompare(b[1] || ""));
  }, [listed.map((one) => one.id).join(), all, grouped.value]);
  const shift = (step) => {
    const links = [...root.current.querySelectorAll(".row .title")];
    focusAt.value = Math.max(0, Math.min(links.length - 1, links.indexOf(document.activeElement) + step));
    links[focusAt.value]?.focus();
  };
  const current = () => sessions.value.get(document.activeElement?.closest(".row")?.dataset.id);
  useKeys({
    next: () => shift(1), previous: () => shift(-1), filter: () => document.getElementById("filter")?.focus(),
    select: () => document.activeElement?.closest(".row")?.querySelector(".tick")?.click(), ...keysOf(current),
  });
  const many_ = (name) => [...all.values()].filter((one) => inFilter(one, name)).length;
  const setSort = (name) => {
    sort.value = name;
    localStorage.setItem("sort", name);
  };
  const setGrouped = () => {
    grouped.value = !grouped.value;
    localStorage.setItem("grouped", grouped.value ? "yes" : "no");
  };
  return html`<section class="section" aria-labelledby="l-h" ref=${root}><h2 id="l-h" class="sr">All sessions</h2>
    <div class="tools">
      <div class="chips" role="group" aria-label="Filter by state">${CHIPS.map(([name, title, icon]) => {
        const count = many_(name);
        return count || name === "all" || filter.value === name
          ? html`<button type="button" class="chip" key=${name} aria-pressed=${filter.value === name ? "true" : "false"} onClick=${() => (filter.value = name)}>${icon ? html`<${Icon} icon=${icon} size="s" />` : null}${title} <span class="num">${count}</span></button>`
          : null;
      })}</div>
      <label class="with-icon"><${Icon} icon="filter" /><span class="sr">Filter by words</span><input class="input" id="filter" type="search" placeholder="Filter sessions" value=${words.value} onInput=${(event) => (words.value = event.target.value)} onKeyDown=${(event) => event.key === "Escape" && event.target.blur()} /><kbd class="for-keys">F</kbd></label>
      <${Menu} summary=${html`<${Icon} icon="sort" />Sorted: ${SORTS[sort.value][0]}`}>${() => Object.entries(SORTS).map(([name, [title]]) => html`<${Item} key=${name} icon=${sort.value === name ? "check" : "sort"} onClick=${() => setSort(name)}>By ${title}</${Item}>`)}</${Menu}>
      <button type="button" class="btn mid" aria-pressed=${grouped.value ? "true" : "false"} onClick=${setGrouped}><${Icon} icon="group" />By project</button>
    </div>
    ${fresh.length ? html`<p class="fresh"><button type="button" class="btn tight" onClick=${() => (order.value = sorted())}>${fresh.length} new</button></p>` : null}
    ${!rows.length ? html`<${Empty} icon="filter" title=${text ? `Nothing matches ‘${words.value}’` : "Nothing here"}><${Btn} onClick=${() => { words.value = ""; filter.value = "all"; }}>Show all</${Btn}></${Empty}>` : null}
    ${nodes.value.filter((node) => node.state !== "ok").map((node) => html`<p class="fresh muted" role="status" key=${node.name}>${node.name} is away${node.asOf ? html`: as it was <${Age} at=${node.asOf} /> ago` : ""}</p>`)}
    <div class="rows-wide">${rows.length ? html`<div class="col-head"><span><input class="tick" type="checkbox" aria-label="Select all" checked=${listed.every((one) => picked.value.has(one.id))} onChange=${(event) => (picked.value = new Set(event.target.checked ? rows.map((one) => one.id) : []))} /></span><span>State${by("state")}</span><span>Session${by("title")}</span><span>Memory${hour("memory")}</span><span class="opt">CPU${hour()}</span><span>Messages</span><span>Time left${by("left")}</span><span class="opt">Active${by("activity")}</span><span></span></div>` : null}
      ${groups.map(([key, node, path, members]) => html`<section class="group" key=${key} aria-label=${path ? `${node ? `${node}: ` : ""}${shortPath(path)}` : "Sessions"}>
        ${path ? html`<div class="group-head"><${Icon} icon="folder" size="s" /><h3 class="clip">${node ? `${node}: ` : ""}${shortPath(path)}</h3><span>${many(members.length, "session")}${heavy(members)}</span><a class="btn quiet tight mid" href=${`#/new/${encodeURIComponent(path)}`} aria-label=${`New here: a session in ${shortPath(path)}`}><${Icon} icon="plus" size="s" />New here</a></div>` : null}
        <ul>${members.map(rowOf)}</ul></section>`)}
    </div>
    ${rows.length > shown.value ? html`<p class="fresh"><${Btn} onClick=${() => (shown.value += MOST_ROWS)}>Show ${rows.length - shown.value} more</${Btn}></p>` : null}
    <${Bulk} />
  </section>`;
}

// Before the first session: read when it is needed.
const first = signal(null);
function FirstRun() {
  useEffect(() => {
    if (!first.value) import("./first.js").then((module) => (first.value = module), () => {});
  }, []);
  return first.value ? html`<${first.value.FirstRun} />` : null;
}

// With `behind` it is what lies behind something, to be seen and no more.
export function Sessions({ behind = false }) {
  const count = sessions.value.size;
  usePlots();
  return html`<main id=${behind ? undefined : "main"} class=${behind ? "behind" : undefined} tabindex="-1" inert=${behind} aria-hidden=${behind ? "true" : undefined}><${Bar} title="Sessions" sub=${`${me.value?.host || ""} · ${count ? many(count, "session") : "no session yet"}`}>
      <a class="btn mid for-keys" href="#/search"><${Icon} icon="search" />Search or do anything <kbd>${COMMAND_KEY} K</kbd></a>
      <a class="icon-btn phone" href="#/search" aria-label="Search"><${Icon} icon="search" /></a>
      <a class="btn primary" href="#/new"><${Icon} icon="plus" /><span>New<span class="sr-phone"> session</span></span> <kbd class="mid for-keys">N</kbd></a></${Bar}>
    <div class="body stack-l"><${Gone} />
      ${!loaded.value ? html`<${Bones} />` : !count ? html`<${FirstRun} />` : html`<${Room} />
        ${waiting.value.length ? html`<section class="section" aria-labelledby="w-h"><div class="section-head"><h2 id="w-h">Waits for you</h2><span class="count you">${waiting.value.length}</span><a class="tiny" href="#/attention">Answer one by one</a></div>
          <div class="asks">${waiting.value.slice(0, 4).map((one) => html`<${Ask} one=${one} key=${one.id} />`)}</div></section>` : null}
        <${List} />`}
    </div></main>`;
}
