// What one conversation is made of, as signals: its history in pages, the turn under way, and the messages whose fate is open. The
// live turn is what the events tell; when the turn ends, history takes its place. Text comes in pieces with a number: they are put
// in order by it, whatever order they come in, and redrawn at most ten times a second.
import { batch, computed, signal } from "../vendor/preact.js";
import { get } from "./api.js";
import { keepTalk, lastTalk } from "./kept.js";
import { listeners, sessions } from "./store.js";

const PAGE = 50;
const FRAME_MS = 100;
const OPEN = ["accepted", "queued", "typed", "submitted", "replied"];

export class Talk {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    /** @type {Signal<Schema<"HistoryEntry">[]>} */
    this.entries = signal([]);
    /** @type {Signal<string | null>} */
    this.next = signal(null);
    this.ready = signal(false);
    /** @type {Signal<string | null>} */
    this.failed = signal(null);
    this.heard = signal([]); // [{type: "text", id, prompt, parts} | {type: "tool", call}]
    this.live = computed(() => this.heard.value.filter((item) => !isKept(item, this.entries.value)));
    /** @type {Signal<Map<string, Schema<"MessageView">>>} */
    this.receipts = signal(new Map()); // messages of ours that are not in the history yet, and what became of them
    /** @type {Signal<Schema<"MessageView">[]>} */
    this.queue = signal([]);
    /** @type {Signal<JournalEvent[]>} */
    this.happened = signal([]);
    this.version = signal(0); // grows with everything that is added at the end
    this.listener = (event) => (event.kind === "gap" ? this.settle() : event.session === id && this.hear(event));
    this.follow = true; // the reader is at the end, and stays there
    this.pending = [];
    listeners.add(this.listener);
    this.load();
  }

  close() {
    listeners.delete(this.listener);
    clearTimeout(this.timer);
    clearTimeout(this.later);
  }

  async load() {
    try {
      const page = await get(`/api/sessions/${this.id}/history?limit=${PAGE}`);
      const seen = new Map(this.entries.value.map((entry) => [entry.id, entry]));
      const ended = this.results();
      const fresh = page.entries.map((entry) => same(seen.get(entry.id), withResults(entry, ended)));
      const first = fresh[0] && this.entries.value.findIndex((entry) => entry.id === fresh[0].id);
      batch(() => {
        const kept = first > 0 ? this.entries.value.slice(0, first) : [];
        if (!kept.length) this.next.value = page.next;
        this.entries.value = [...kept, ...fresh];
        this.failed.value = null;
        this.ready.value = true;
        this.version.value++;
      });
      keepTalk(this.id, fresh).catch(() => {});
      await this.loadOpen();
    } catch (error) {
      const kept = !this.ready.value && (error.status === 0 || error.status === 503) && (await lastTalk(this.id).catch(() => null));
      if (!kept) {
        this.failed.value = error.message;
        return;
      }
      batch(() => {
        this.entries.value = kept.entries;
        this.ready.value = true;
        this.version.value++;
      });
    }
  }

  // What calls have come to, as far as it is known here: history that was asked for a moment before may not have it yet.
  results() {
    const calls = [...this.entries.value.flatMap((entry) => entry.toolCalls || []), ...this.heard.value.map((item) => item.call)];
    return new Map(calls.filter((call) => call?.result != null).map((call) => [call.id, call]));
  }

  async earlier(limit = PAGE * 2) {
    if (!this.next.value || this.loading) return;
    this.loading = true;
    try {
      const page = await get(`/api/sessions/${this.id}/history?limit=${limit}&before=${encodeURIComponent(this.next.value)}`);
      batch(() => {
        this.entries.value = [...page.entries, ...this.entries.value];
        this.next.value = page.next;
      });
    } finally {
      this.loading = false;
    }
  }

  // An entry that was said long ago, in big pages; whether it is there.
  async find(id) {
    const has = () => this.entries.value.some((entry) => entry.id === id);
    while (!has() && this.next.value) {
      const before = this.next.value;
      await this.earlier(1000);
      if (this.next.value === before) break;
    }
    return has();
  }

  async loadOpen() {
    const waits = await get(`/api/sessions/${this.id}/messages?state=queued&limit=100`);
    this.queue.value = waits.messages.filter((one) => one.kind !== "command").sort((a, b) => a.queuePosition - b.queuePosition);
    const current = sessions.value.get(this.id)?.currentMessage;
    if (current && !this.receipts.value.has(current)) await this.fetch(current);
  }

  async fetch(id) {
    try {
      this.note(await get(`/api/messages/${id}`));
    } catch {
      // gone with its session, or out of reach: the next event asks again
    }
  }

  note(message) {
    const next = new Map(this.receipts.value);
    next.set(message.id, message);
    batch(() => {
      this.receipts.value = next;
      if (message.state !== "queued") this.queue.value = this.queue.value.filter((one) => one.id !== message.id);
      else if (this.queue.value.some((one) => one.id === message.id)) this.queue.value = this.queue.value.map((one) => (one.id === message.id ? message : one));
      else this.queue.value = [...this.queue.value, message];
      this.version.value++;
    });
  }

  hear(event) {
    const { kind, data } = event;
    if (kind === "text" || kind === "tool") {
      this.pending.push(event);
      if (!this.timer) this.timer = setTimeout(() => this.draw(), FRAME_MS);
      return;
    }
    if (["message", "state", "waiting", "answered", "crashed", "resumed", "warning", "ended", "memory", "interrupted"].includes(kind)) {
      this.happened.value = [...this.happened.value.slice(-30), event];
    }
    if (kind === "message") {
      const id = data.id || data.messageId || data.message;
      if (id) this.fetch(id).then(() => data.state !== "cancelled" && !OPEN.includes(data.state) && this.settle()); // what was cancelled was never said
      if (data.state === "queued" || data.state === "cancelled") this.loadOpenSoon();
    } else if (kind === "reply_changed") this.fetch(data.message);
    else if (kind === "queue" || kind === "edited") this.loadOpenSoon();
    else if (kind === "state" && data.to !== "busy") this.settle();
    else if (["conversation", "reopened", "resumed", "adopted", "ended"].includes(kind)) this.settle();
  }

  loadOpenSoon() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.loadOpen().catch(() => {}), 150);
  }

  // The turn is over, or something else has changed what was said: read it again, and let go of what was only heard.
  settle() {
    clearTimeout(this.later);
    this.later = setTimeout(async () => {
      const before = this.heard.value;
      await this.load();
      if (sessions.value.get(this.id)?.state !== "busy" || this.heard.value === before) this.heard.value = [];
    }, 200);
  }

  draw() {
    this.timer = 0;
    const events = this.pending.splice(0);
    let [items, entries] = [this.heard.value, this.entries.value];
    for (const { kind, data } of events) {
      const at = kind === "tool" ? entries.findLastIndex((entry) => (entry.toolCalls || []).some((call) => call.id === data.toolUseId)) : -1;
      if (at >= 0) entries = entries.with(at, { ...entries[at], toolCalls: entries[at].toolCalls.map((call) => (call.id === data.toolUseId ? { ...call, ...ended(data) } : call)) });
      else items = kind === "text" ? addText(items, data) : addTool(items, data);
    }
    batch(() => {
      this.entries.value = entries;
      this.heard.value = items;
      this.version.value++;
    });
  }
}

const withResults = (entry, ended) => {
  const late = (call) => call.result == null && ended.has(call.id);
  return !(entry.toolCalls || []).some(late) ? entry : { ...entry, toolCalls: entry.toolCalls.map((call) => (late(call) ? { ...call, result: ended.get(call.id).result, isError: ended.get(call.id).isError } : call)) };
};

// Whether history has it already, as when a conversation is opened while a turn ends: it would be there twice.
function isKept(item, entries) {
  if (item.type === "tool") return entries.some((entry) => (entry.toolCalls || []).some((call) => call.id === item.call.id));
  if (!item.final) return false; // an entry is a whole message
  const begun = entries.findLastIndex((entry) => entry.role === "user" && entry.promptId === item.prompt);
  const text = item.parts.join("").trim();
  return begun >= 0 && entries.slice(begun).some((entry) => entry.role === "assistant" && entry.text.trim() === text);
}

function addText(items, data) {
  const id = data.messageId || data.promptId || "text";
  const at = items.findIndex((item) => item.type === "text" && item.id === id);
  const parts = at < 0 ? [] : [...items[at].parts];
  parts[data.index || 0] = data.delta || "";
  const item = { type: "text", id, prompt: data.promptId, parts, final: data.final || items[at]?.final };
  return at < 0 ? [...items, item] : items.with(at, item);
}

// What a call has come to, by the event that tells it.
function ended(data) {
  if (data.phase === "finished") return { result: data.result ?? "" };
  return data.phase === "failed" ? { result: data.error || "", isError: true } : {};
}

function addTool(items, data) {
  const at = items.findIndex((item) => item.type === "tool" && item.call.id === data.toolUseId);
  const before = at < 0 ? { id: data.toolUseId, name: data.tool } : items[at].call;
  const call = { ...before, input: data.input || before.input, truncated: data.truncated || before.truncated };
  const item = { type: "tool", call: { ...call, ...ended(data) } };
  return at < 0 ? [...items, item] : items.with(at, item);
}

// The very object that was drawn before, when nothing about it has changed: then it is not drawn again.
const same = (before, now) => (before && JSON.stringify(before) === JSON.stringify(now) ? before : now);
