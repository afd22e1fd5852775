// The words, icons and colours of everything that has a state: the same as in the API, in plain English; and how times are said.
import { signal } from "../vendor/preact.js";

export const minute = signal(Date.now()); // ticks: ages are read against it
setInterval(() => {
  if (document.visibilityState === "visible") minute.value = Date.now();
}, 10000);

/** @type {Record<Schema<"Waiting">["for"], [word: string, icon: string]>} */
const WAITING = {
  permission: ["Asks permission", "permission"],
  question: ["Asks a question", "question"],
  plan: ["Has a plan", "plan"],
  elicitation: ["Has a form", "question"],
  trust: ["Asks for trust", "trust"],
  setup: ["Needs setup", "setup"],
  login: ["Needs a login", "login"],
  rate_limit: ["Usage limit", "rate_limit"],
  peer: ["Holds a message", "dialog"],
  dialog: ["Shows a dialog", "dialog"],
};
/** @type {Partial<Record<Session["state"], [word: string, icon: string, color: string]>>} */
const STATES = {
  starting: ["Starting", "starting", "starting"],
  idle: ["Idle", "idle", "idle"],
  busy: ["Busy", "busy", "busy"],
  hibernated: ["Hibernated", "hibernated", "hibernated"],
  stopping: ["Stopping", "stopping", "stopping"],
  unknown: ["Unknown", "unknown", "unknown"],
};
/** @type {Record<NonNullable<Session["endReason"]>, [word: string, icon: string, color: string]>} */
const ENDS = {
  killed: ["Ended", "killed", "ended"],
  expired: ["Expired", "expired", "ended"],
  exited: ["Exited", "exited", "ended"],
  crashed: ["Crashed", "crashed", "failed"],
  start_failed: ["Did not start", "start_failed", "failed"],
  lost: ["Lost", "lost", "failed"],
  moved: ["Moved", "external", "ended"],
};
/** @type {Record<Schema<"Receipt">["state"] | "replied", string>} */
export const STEPS = {
  accepted: "Accepted", queued: "Queued", typed: "Typed", submitted: "Submitted", replied: "Replied",
  answered: "Answered", failed: "Failed", interrupted: "Interrupted", cancelled: "Cancelled",
};

/**
 * Of a session.
 * @param {Session} session
 */
export function stateOf(session) {
  let waits = session.state === "waiting" && session.waiting && WAITING[session.waiting.for];
  if (waits === WAITING.rate_limit && !/limit/i.test(session.waiting.title)) waits = ["Overloaded", waits[1]]; // the same pause, and nobody's limit
  const found = waits ? [...waits, "waiting"]
    : session.state === "ended" ? ENDS[session.endReason] || ENDS.exited
    : session.state === "waiting" ? ["Waits", "dialog", "waiting"]
    : STATES[session.state] || STATES.unknown;
  const word = session.state === "busy" && !session.currentMessage && (session.backgroundTasks || []).length ? "Task runs" : found[0];
  return { word, icon: found[1], color: found[2] };
}

// Who did something, as people are called: `device:Ada’s phone` is Ada’s phone; `mine` is this very device, or token.
export function actorOf(by, mine) {
  if (!by) return "somebody";
  const [kind, ...rest] = by.split(":");
  const name = rest.join(":");
  if (mine && by === `${mine.kind}:${mine.name}`) return "you";
  return { device: name, link: `a notification on ${name}`, token: `the token ${name}`, bus: `the key ${name}`, local: "this machine", cli: "the command line", policy: "a rule" }[kind] || by;
}

const GIVEN = { retry: "Tried again", accept: "Filled in", decline: "Declined", allow: "Allowed", always: "Allowed always", deny: "Denied", text: "Answered" };
export const givenWord = (data) => GIVEN[data.decision || data.answer || data.choice] || (data.label || data.answer || data.choice ? `“${shorten(String(data.label || data.answer || data.choice), 60)}”` : "Answered");

const URGENT = ["permission", "question", "plan", "elicitation", "trust", "dialog", "login", "setup", "rate_limit", "peer"];
/** @param {Waits} session */
const rank = (session) => (URGENT.indexOf(session.waiting.for) < 4 ? 0 : 1);
/** @type {(a: Waits, b: Waits) => number} */
export const byUrgency = (a, b) => rank(a) - rank(b) || (a.waiting.since || 0) - (b.waiting.since || 0);

/** @param {Session} session */
export function titleOf(session) {
  return session.title || folderName(session.projectPath) || "Untitled";
}

const HOME = /^(\/home\/[^/]+|\/Users\/[^/]+|\/root)(?=\/|$)/;
export const shortPath = (path) => (path || "").replace(HOME, "~");
export const folderName = (path) => (path || "").split("/").filter(Boolean).pop() || path;

// How long ago: `4 s`, `11 min`, `3 h`, `2 d`.
export function age(at, now = minute.value) {
  const seconds = Math.max(0, (now - at) / 1000);
  if (seconds < 60) return seconds < 10 ? "now" : `${Math.floor(seconds / 10) * 10} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

export const ago = (at) => (age(at) === "now" ? "just now" : `${age(at)} ago`);

// How long still: `23 h 59 min`.
export function span(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60000));
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} days`;
}

/** @type {Record<string, string>} what Claude may do without asking, by permission mode */
export const MODES = { default: "Ask me", plan: "Plan first", acceptEdits: "Edit freely" };

// How long still, where somebody watches it go: `1 h 53 min`, `4 min 5 s`, `12 s`.
export function countdown(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds >= 3600) return span(ms);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
// The same, with its day if that is not today.
export const when = (at) => (new Date(at).toDateString() === new Date(minute.value).toDateString() ? clock(at) : new Date(at).toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit" }));
export const exactly = (at) => new Date(at).toLocaleString();
export const dayOf = (at) => {
  const day = new Date(at);
  const today = new Date(minute.value);
  if (day.toDateString() === today.toDateString()) return "Today";
  if (day.toDateString() === new Date(today.getTime() - 86400000).toDateString()) return "Yesterday";
  return day.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
};

// As the limits are counted (limits.memory_total_gb): a GB is 1024 MB, everywhere.
export const GIGABYTE = 1073741824;
export function bytes(count) {
  if (count == null) return "";
  if (count >= GIGABYTE) return `${(count / GIGABYTE).toFixed(2).replace(/\.00$/, "")} GB`;
  return `${Math.round((count * 1024) / GIGABYTE)} MB`;
}

// Messages that wait: the one under way is the first of the queue and does not.
/** @param {Session} session */
export const waitingMessages = (session) => Math.max(0, session.queueLength - (session.currentMessage ? 1 : 0));

// Whether a key is of somebody who composes a word. Safari has ended that by the Enter that takes it.
export const composes = (event) => event.isComposing || event.keyCode === 229;

// The key that goes with K and Enter, as it is called on this machine.
export const COMMAND_KEY = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘" : "Ctrl";

// What is asked, in a line: the command, the file, how many questions, the first line of a plan.
/** @type {(asked: Schema<"Waiting">, folder: string) => string} */
export function askedOf({ for: kind, tool, input, questions, title, text }, folder) {
  const plan = kind === "plan" && String(input?.plan || "").split("\n").map((line) => line.replace(/^[#\s*>-]+/, "").trim()).find(Boolean);
  if (kind === "trust") return "Do you trust the files in this folder?";
  if (kind === "permission" && tool === "Bash" && input?.command) return visible(String(input.command));
  if (kind === "permission" && input?.file_path) return visible(`${tool} ${within(String(input.file_path), folder)}`);
  if (questions?.length > 1) return `${questions.length} questions: “${visible(questions[0].question)}” and ${questions.length === 2 ? "one" : questions.length - 1} more`;
  return visible(plan || title || text || kind);
}

// A path as it is called in this folder.
export const within = (path, folder) => (folder && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : shortPath(path));

// Who asks: Claude itself, or one of the agents that it has called.
/** @param {Schema<"Waiting">} asked */
export const asker = (asked) => (asked.agent ? `Claude’s ${asked.agent} agent` : "Claude");

export const many = (count, one, more = `${one}s`) => `${count} ${count === 1 ? one : more}`;
export const shorten = (text, most) => (text.length > most ? `${text.slice(0, most)}…` : text);

// Characters that cannot be seen, or turn the reading direction, are written out: what is shown is what is run.
export const visible = (text) =>
  String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, "0")}`);
