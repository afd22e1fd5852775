// One event stream for all windows of this browser. The window that holds the Web Lock listens and tells the others over a
// BroadcastChannel; when it goes, another one takes over where it was. Three windows must not use up the six connections that a
// browser gives one server. Without locks (plain HTTP from another machine) each window listens for itself. A window that a phone has
// put to sleep keeps its lock and says nothing: one that is looked at takes the lock from it.
//
// Every event has a number; what comes twice is dropped, what is missing comes again (`since`), and a gap that the server declares
// leads to a fresh snapshot. A watchdog of 2.5 heartbeats and every return to the window open the stream anew.
import { signal } from "../vendor/preact.js";
import { call, signedOut } from "./api.js";

const HEARTBEAT_MS = 15000;
const SILENCE_MS = HEARTBEAT_MS * 2.5;
const ANSWER_MS = 2000; // within which a window that listens answers another
const KINDS = [
  "adopted", "answered", "arrived", "attached", "audit", "bus_rebound", "changed", "conversation", "conversation_shared", "crashed",
  "created", "detached", "edited", "editor_taken", "ended", "expired", "extended", "folder_lost", "hooks_off", "late_process_ended", "leaving",
  "lock_renewed", "memory", "message", "moved", "notification_failed", "pressure", "prompt", "quarantined", "queue", "recording",
  "reopened", "reply_changed", "responsive", "restored", "resumed", "run_dir_renewed", "scheduled_lost", "seen", "settings", "start_delayed",
  "started", "state", "staying", "stopped", "storage_recovered", "stuck", "text", "tick", "tool", "unreadable", "unresponsive", "updated",
  "viewers_rebound", "waiting", "warning", "writer", "gap", "node",
];

export const link = signal("catching up"); // live, catching up, away
let place = null; // `epoch:seq` of the last event seen
const seen = new Map(); // the number of the last event, of each node behind a gateway
let source = null;
let heard = 0;
/** @type {object | null} */
let leading = null; // this window's turn at it
let pause = 1000;
let retry = 0;
/** @type {(event: JournalEvent) => void} */
let told = () => {};
let refresh = (_why) => {};
const channel = "BroadcastChannel" in self ? new BroadcastChannel("pilotlight-events") : null;

// Again after each sign-in: whoever listened before may stand at the door.
export function listen(onEvent, onGap) {
  if (refresh !== onGap) {
    told = onEvent;
    refresh = onGap;
    if (channel) {
      channel.onmessage = ({ data }) => {
        if (data.type !== "ask") heard = Date.now();
        receive(data);
      };
    }
    for (const [target, name] of /** @type {[EventTarget, string][]} */ ([[document, "visibilitychange"], [self, "pageshow"], [self, "online"]])) {
      target.addEventListener(name, () => document.visibilityState === "visible" && again());
    }
    setInterval(watch, HEARTBEAT_MS / 3);
    lead();
  }
  setTimeout(again, 300);
}

function lead(steal = false) {
  const turn = {};
  const begin = () => {
    leading = turn;
    open();
  };
  if (!channel || !navigator.locks) return begin();
  navigator.locks.request("pilotlight-events", { steal }, () => new Promise(begin)).catch(() => {
    if (leading !== turn) return;
    leading = null; // another window has taken it, since nothing was heard of this one
    source?.close();
    lead();
    receive({ kind: "gap", body: {} });
  });
}

// Ask at once, if nothing is heard.
export function again() {
  if (!leading) {
    const asked = Date.now();
    channel?.postMessage({ type: "ask" });
    clearTimeout(retry);
    retry = setTimeout(() => heard < asked && !leading && !signedOut.value && lead(true), ANSWER_MS);
  } else if (!source || source.readyState === EventSource.CLOSED || silent() > HEARTBEAT_MS) open();
}

const silent = () => Math.abs(Date.now() - heard); // a clock can be put back

function open() {
  clearTimeout(retry);
  if (signedOut.value) return;
  if (source) source.close();
  heard = Date.now();
  const since = place ? `?since=${encodeURIComponent(place)}` : "";
  const mine = (source = new EventSource(`/api/events${since}`));
  mine.onopen = () => {
    heard = Date.now();
    pause = 1000;
    say({ type: "link", value: "live", place });
  };
  for (const kind of KINDS) {
    mine.addEventListener(kind, (event) => {
      heard = Date.now();
      if (event.lastEventId) place = event.lastEventId;
      say({ type: "event", kind, place, body: JSON.parse(event.data) });
    });
  }
  mine.onerror = () => {
    mine.close();
    if (source !== mine) return;
    say({ type: "link", value: "away", place });
    call("GET", "/api/settings", undefined, { patience: 5000 }).catch(() => {}); // tells whether more than the stream is away
    clearTimeout(retry);
    retry = setTimeout(open, pause);
    pause = Math.min(15000, pause * 2);
  };
}

function watch() {
  if (document.visibilityState !== "visible" || signedOut.value || silent() < SILENCE_MS) return;
  if (leading && source?.readyState === EventSource.CLOSED) return; // it is tried again anyway
  (leading ? say : receive)({ type: "link", value: "catching up" });
  again();
}

function say(message) {
  if (channel) channel.postMessage(message);
  receive(message);
}

function receive(message) {
  if (message.type === "ask") {
    if (leading && source?.readyState === EventSource.OPEN && silent() < SILENCE_MS) channel.postMessage({ type: "link", value: link.value, place });
    return;
  }
  if (message.place) place = message.place;
  if (message.type === "link") {
    const back = message.value === "live" && link.value !== "live";
    link.value = message.value;
    if (back) refresh();
    return;
  }
  const { kind, body } = message;
  if (kind === "gap" || kind === "node") {
    if (body.node) seen.delete(body.node);
    else seen.clear();
    refresh(kind);
    told({ ...body, kind });
    return;
  }
  if (body.seq <= (seen.get(body.node) || 0)) return;
  seen.set(body.node, body.seq);
  told(body);
}
