// What this window knows, as signals: who we are, the sessions, what waits. Fed by one snapshot and one stream of events; an event
// marks its session as changed, and what changed is read anew, together, at most four times a second. A list is replaced in place:
// its order is the view's business.
import { batch, computed, effect, signal } from "../vendor/preact.js";
import { away, get, reachable, signedOut } from "./api.js";
import { again, link, listen } from "./stream.js";
import { byUrgency } from "./words.js";

/** @type {Signal<Answer<"GET", "/api/me"> | null>} */
export const me = signal(null);
/** @type {Signal<Map<string, Session>>} */
export const sessions = signal(new Map());
/** @type {Signal<{name: string, state: string, asOf?: number | null}[]>} */
export const nodes = signal([]); // behind a gateway: {name, state, asOf}; none at a single machine
export const loaded = signal(false);
export const asOf = signal(0); // when the list was last known to be true
/** @type {Signal<Record<string, any> | null>} */
export const settings = signal(null);
/** @type {Signal<Answer<"GET", "/api/metrics/sessions"> | null>} */
export const metrics = signal(null);
/** @type {Signal<{id: number, text: string, bad: boolean}[]>} */
export const notes = signal([]); // notices at the edge: {id, text, bad}
export const spoken = signal(""); // for the polite live region
// At most once in five seconds what is of a kind, the last of it, and none that is over: then "" takes its place. The same words once
// more are said again only if they differ.
const SPEAK_MS = 5000;
const told = {}; // kind -> {at, text, timer}
export function speak(text, kind = "state") {
  const last = (told[kind] ??= { at: 0 });
  last.text = text;
  last.timer ||= setTimeout(() => {
    last.timer = 0;
    if (!last.text) return;
    last.at = Date.now();
    spoken.value = last.text === spoken.value ? `${last.text}\u00a0` : last.text;
  }, last.at + SPEAK_MS - Date.now());
}
/** @type {Signal<Record<string, string>>} */
export const doing = signal({}); // what was asked of a session and is not done yet, in words
/** @type {Set<(event: JournalEvent) => void>} */
export const listeners = new Set(); // views that want every event

export const waiting = computed(() => /** @type {Waits[]} */ ([...sessions.value.values()].filter((one) => one.waiting)).sort(byUrgency));
export const live = computed(() => [...sessions.value.values()].filter((one) => !["ended", "hibernated"].includes(one.state)));
export const stale = computed(() => loaded.value && (link.value !== "live" || away.value !== null));

/** @type {Record<string, number>} */
const RANK = { read: 0, chat: 1, answer: 2, admin: 3 };
/** @param {"read" | "chat" | "answer" | "admin"} scope */
export const may = (scope) => me.value !== null && RANK[me.value.scope] >= RANK[scope];
// Why what takes this scope cannot be done now, in words. Where only the stream is cut off, it can.
/** @param {"read" | "chat" | "answer" | "admin"} scope */
export const hindrance = (scope) => (!may(scope) ? `needs ${scope}` : away.value ? "pilotlight is away" : undefined);

const FLUSH_MS = 250;
const MOST_SINGLY = 6; // more that have changed at once are read with all others
/** @type {Set<string>} */
const dirty = new Set();
let flushing = 0;
let all = false;

// What was known last, with its age, until what is true can be read.
function recall() {
  const kept = !loaded.value && lastList();
  if (!kept) return;
  batch(() => {
    sessions.value = new Map(kept.sessions.map((one) => [one.id, one]));
    asOf.value = kept.at;
    loaded.value = true;
  });
}

export async function begin() {
  try {
    me.value = await get("/api/me");
  } catch (error) {
    if (error.status !== 401) recall();
    throw error;
  }
  signedOut.value = false;
  listen(onEvent, snapshot);
  await snapshot();
  numbers();
  if (may("read")) get("/api/settings").then((answer) => (settings.value = answer.settings), () => {});
}

// Of two answers about one session that of the question asked later counts, whichever comes first.
/** @type {Map<string, number>} */
const known = new Map(); // as of which question
let asked = 0;
let owed = false; // something could not be read, and has to be

const newer = (id, at) => (known.get(id) || 0) <= at;
function take(next, one, at) {
  const before = sessions.value.get(one.id);
  if (newer(one.id, at)) known.set(one.id, at);
  else if (before) one = before;
  next.set(one.id, same(before, one));
}

export async function snapshot() {
  const at = ++asked;
  try {
    const answer = await get("/api/sessions?includeEnded=true");
    const next = new Map();
    for (const one of answer.sessions) take(next, one, at);
    for (const [id, one] of sessions.value) if (!next.has(id) && !newer(id, at)) next.set(id, one); // made meanwhile
    owed = false;
    batch(() => {
      sessions.value = next;
      nodes.value = /** @type {any} */ (answer).nodes || []; // a gateway names them
      loaded.value = true;
      asOf.value = Date.now();
    });
    reachable();
    keepList(next);
  } catch (error) {
    if (error.status === 401) return;
    owed = true;
    recall();
  }
}

// The present numbers, every ten seconds while somebody looks; also how it is noticed that the supervisor is away, and is back.
const NUMBERS_MS = 10000;
let ticking = 0;
let pause = 1000;
const soon = (ms) => {
  clearTimeout(ticking);
  ticking = setTimeout(numbers, ms);
};
async function numbers() {
  clearTimeout(ticking);
  if (document.visibilityState !== "visible" || signedOut.value) return;
  const gone = owed || away.value !== null || link.value === "away"; // nothing else tells what has changed then
  try {
    const answer = await get("/api/metrics/sessions");
    metrics.value = answer;
    pause = 1000;
    if (gone) await snapshot();
    const next = new Map(sessions.value);
    for (const row of /** @type {any[]} */ (answer.perSession || [])) {
      const one = next.get(row.id);
      if (one && (one.memoryBytes !== row.memoryBytes || one.cpuPercent !== row.cpuPercent)) next.set(row.id, { ...one, memoryBytes: row.memoryBytes, cpuPercent: row.cpuPercent });
    }
    sessions.value = next;
    soon(NUMBERS_MS);
  } catch {
    soon(pause);
    pause = Math.min(15000, pause * 2);
  }
}
for (const name of ["visibilitychange", "online"]) addEventListener(name, () => me.value && soon(0));
effect(() => {
  if (!away.value || !me.value) return; // whatever has noticed it
  pause = 1000;
  soon(pause);
});

export function tryNow() {
  again();
  numbers();
}

/** @param {JournalEvent} event */
function onEvent(event) {
  asOf.value = Date.now();
  if (event.session && !["text", "tool", "prompt"].includes(event.kind)) {
    dirty.add(event.session);
    if (!flushing) flushing = setTimeout(flush, FLUSH_MS);
  }
  if (event.kind === "started") all = true;
  if (event.kind === "settings") get("/api/settings").then((answer) => (settings.value = answer.settings), () => {});
  for (const listener of listeners) listener(event);
}

async function flush() {
  flushing = 0;
  const ids = [...dirty];
  dirty.clear();
  if (all || ids.length > MOST_SINGLY) {
    all = false;
    await snapshot();
    return;
  }
  const at = ++asked;
  const found = await Promise.all(ids.map((id) => get(`/api/sessions/${id}`).then((answer) => answer.session, (error) => void (owed ||= error.status !== 404))));
  const next = new Map(sessions.value);
  for (const one of found) if (one) take(next, one, at);
  sessions.value = next;
}

// The very object that was there before, when nothing about it has changed: then its row is not drawn again.
const same = (before, now) => (before && JSON.stringify(before) === JSON.stringify(now) ? before : now);

/** @param {Session | null | undefined} session */
export function put(session) {
  if (!session) return;
  const next = new Map(sessions.value);
  take(next, session, ++asked);
  sessions.value = next;
}

let count = 0;
export function note(text, bad = false) {
  const id = ++count;
  notes.value = [...notes.value.slice(-2), { id, text, bad }];
  setTimeout(() => (notes.value = notes.value.filter((one) => one.id !== id)), bad ? 10000 : 5000);
}

// Do something that may be refused; the refusal is told in the server's own sentence.
export async function attempt(act, said) {
  try {
    const answer = await act();
    if (answer && answer.session) put(answer.session);
    if (said) note(typeof said === "function" ? said(answer) : said);
    return answer;
  } catch (error) {
    note(error.message, true);
    return null;
  }
}

// The same with one session, which says in these words what is being done until it is.
/** @param {Session} one @param {any} [said] */
export async function during(one, words, act, said) {
  doing.value = { ...doing.value, [one.id]: words };
  const answer = await attempt(act, said);
  const { [one.id]: _, ...others } = doing.value;
  doing.value = others;
  return answer;
}

// Drafts stay on this device, one a session, until the receipt is here.
export const draftOf = (id) => localStorage.getItem(`draft:${id}`) || "";
export function keepDraft(id, text) {
  try {
    if (text) localStorage.setItem(`draft:${id}`, text);
    else localStorage.removeItem(`draft:${id}`);
  } catch {
    // storage is full or forbidden: the draft lives as long as the page
  }
}

effect(() => {
  if (signedOut.value) forget();
});

export const findings = signal(0); // what a look at the health of it all has found
/** @returns {Promise<Got<"/api/health">>} */
export async function look() {
  const report = await get("/api/health").catch((error) => (error.body?.checks ? error.body : { checks: [{ name: "supervisor", status: "fail", detail: error.message }], status: "unhealthy" }));
  if (!away.value && !signedOut.value) findings.value = report.checks.filter((check) => check.status !== "ok").length; // else the banner says it
  return report;
}

let before = 0;
effect(() => {
  const now = waiting.value.length;
  if (loaded.value && (now > before || told.waits?.timer)) speak(now ? `${now} ${now === 1 ? "waits" : "wait"} for you` : "", "waits");
  before = now;
});

// What this device can still show when pilotlight is out of reach: the last list, without words; and the ends of the last twelve
// conversations, if the owner of the device has switched that on. Signing out, being signed out, or another sign-in forgets all of it.
export const NAME = "pilotlight-offline";
const LIST = "sessions";
const PAUSE_MS = 10000;
const SHOWN = ["id", "title", "state", "projectPath", "createdAt", "lastActivity", "messageCount", "queueLength", "endedAt", "endReason", "expiresAt", "seenAt"];

export const keeps = () => localStorage.getItem("offline") === "on";

export function setKeeps(on) {
  localStorage.setItem("offline", on ? "on" : "off");
  if (!on) self.caches?.delete(NAME);
}

let kept = 0;
/** @param {Map<string, Session>} sessions */
export function keepList(sessions) {
  if (Date.now() - kept < PAUSE_MS) return;
  kept = Date.now();
  const keep = () => {
    const slim = [...sessions.values()].map((one) => Object.fromEntries(SHOWN.map((name) => [name, one[name]])));
    try {
      if (!signedOut.value) localStorage.setItem(LIST, JSON.stringify({ at: kept, sessions: slim }));
    } catch {
      // no room: then there is nothing to show without a connection
    }
  };
  if (self.requestIdleCallback) requestIdleCallback(keep, { timeout: 2000 });
  else setTimeout(keep, 0);
}

// { at, sessions } as they were last known, or null.
export function lastList() {
  try {
    return JSON.parse(localStorage.getItem(LIST));
  } catch {
    return null;
  }
}

export async function forget() {
  localStorage.removeItem(LIST);
  await self.caches?.delete(NAME);
}

// Whoever signs out leaves nothing behind, whether the server is told of it or not. Who was signed out finds drafts again.
export async function leaveNothing() {
  for (const name of Object.keys(localStorage)) if (name.startsWith("draft:")) localStorage.removeItem(name);
  dispatchEvent(new StorageEvent("storage")); // as other windows are told of it
  await forget();
}
