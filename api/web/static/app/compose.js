// The dock: messages that wait, and the one that is being written. A draft goes only when its receipt is here; a retry after silence
// has the same key, so nothing is sent twice. Enter sends (on touch it makes a new line), Escape stops the turn.
import { effect, html, signal, useEffect, useMemo, useRef } from "../vendor/preact.js";
import { call, del, get, newKey, patch, post, put, signedOut } from "./api.js";
import { interrupt } from "./sessions.js";
import { attempt, draftOf, hindrance, keepDraft, may, note } from "./store.js";
import { Icon, IconBtn, Item, Menu } from "./ui.js";
import { bytes, COMMAND_KEY, composes, many, MODES, shorten, visible } from "./words.js";

const MOST_BYTES = 10 * 1024 * 1024;
const MOST_FILES = 10;
const MOST_TEXT = 100000; // as the server takes of it
const DRAFT_PAUSE_MS = 2000;
const touch = matchMedia("(pointer: coarse)");
const COMMANDS = ["/compact", "/context", "/cost", "/clear", "/model", "/help"];

// As it is sent: with files in parts, else as it is.
export function formOf(fields, files) {
  if (!files.length) return fields;
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  for (const file of files) form.append("file", file, file.name);
  return form;
}

async function asPicture(file) {
  if (!/hei[cf]$/i.test(file.type) && !/\.hei[cf]$/i.test(file.name)) return file;
  try {
    const bitmap = await createImageBitmap(file);
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
    return new File([blob], file.name.replace(/\.\w+$/, ".jpg"), { type: "image/jpeg" });
  } catch {
    return file; // this browser cannot read it: Claude gets it as it is
  }
}

/** @param {{talk: import("./talk.js").Talk, edit: (message: Schema<"MessageView">, index: number) => void}} given */
function Queue({ talk, edit }) {
  const waits = talk.queue.value;
  if (!waits.length) return null;
  const move = (message, at) => attempt(async () => {
    const answer = await post(`/api/messages/${message.id}/move`, { position: at });
    talk.queue.value = answer.messages;
  });
  const arrows = (message, index) => (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step && waits[index + step]) {
      event.preventDefault();
      move(message, index + step);
    }
  };
  const drop = (index) => (event) => {
    event.preventDefault();
    const moved = waits.find((one) => one.id === event.dataTransfer.getData("text/x-message"));
    if (moved) move(moved, index);
  };
  return html`<details class="queue" open><summary><${Icon} icon="queued" size="s" /><b class="strong">${many(waits.length, "message")} ${waits.length === 1 ? "waits" : "wait"}</b><span class="muted clip">sent in this order when the turn ends</span><${Icon} icon="down" size="s chev" /></summary>
    <ol>${waits.map((message, index) => html`<li key=${message.id} onDragOver=${(event) => event.preventDefault()} onDrop=${drop(index)}>
      <button type="button" class="icon-btn" draggable="true" onDragStart=${(event) => event.dataTransfer.setData("text/x-message", message.id)} onKeyDown=${arrows(message, index)} aria-label=${`Move message ${index + 1} of ${waits.length}; use the arrow keys`}><${Icon} icon="grip" size="s" /></button>
      <span class="t clip" dir="auto">${message.text}</span>
      <${IconBtn} icon="edit" size="s" label=${`Edit message ${index + 1}`} onClick=${() => edit(message, index)} />
      <${IconBtn} icon="x" size="s" label=${`Cancel message ${index + 1}`} onClick=${() => attempt(() => del(`/api/messages/${message.id}`).then((answer) => { talk.note(answer); return null; }))} /></li>`)}</ol></details>`;
}

// What is being written in each session: it outlives the view, as what is on its way does.
class Writing {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    this.text = signal(draftOf(id));
    /** @type {Signal<File[]>} */
    this.files = signal([]);
    this.coming = Promise.resolve(); // a picture that is being made into another is waited for
    /** @type {Signal<{id: string, index: number, draft: string} | null>} */
    this.editing = signal(null); // a message that waits; and the draft that it has taken the place of
    this.mode = signal("");
    this.busy = signal(false);
    /** @type {string | null} */
    this.shared = ""; // the draft as the server has it
    this.later = 0;
  }

  write(value) {
    if (value !== this.text.value && !this.editing.value) settled(this.id);
    this.text.value = value;
    if (this.editing.value) return;
    keepDraft(this.id, value);
    clearTimeout(this.later);
    this.later = setTimeout(() => this.share(value), value ? DRAFT_PAUSE_MS : 0);
  }

  share(value) {
    if (value === this.shared || !may("chat")) return;
    this.shared = value;
    put(`/api/sessions/${this.id}/draft`, { draft: value }).catch(() => (this.shared = null));
  }

  edit(message, index) {
    this.editing.value = { id: message.id, index, draft: this.editing.value?.draft ?? this.text.value };
    this.write(message.text);
  }

  leaveEditing() {
    this.text.value = this.editing.value?.draft || "";
    this.editing.value = null;
    this.write(this.text.value);
  }
}

/** @type {Map<string, Writing>} */
const written = new Map();
/** @returns {Writing} */
function writingOf(id) {
  if (!written.has(id)) written.set(id, new Writing(id));
  return written.get(id);
}
// Another window of this browser has sent it, or goes on with it; or all of it goes from this device.
addEventListener("storage", ({ key, newValue }) => {
  for (const one of written.values()) {
    if (key && key !== `draft:${one.id}`) continue;
    if (!one.busy.value && !one.editing.value) one.text.value = newValue || "";
    if (!key) one.files.value = [];
  }
});
effect(() => {
  if (signedOut.value) written.clear(); // drafts are kept, on this device
});

/**
 * What is sent under a key. What was tried and not answered is the same request when it is tried again, also when the page was loaded
 * anew; not when something else was written meanwhile: then it is known, and wanted once more.
 * @param {string} id
 * @param {any} fields what makes it this message
 * @param {any} more what else was asked for
 * @returns {{key: string, fields: any}}
 */
export function tried(id, fields, more = {}) {
  const what = JSON.stringify(fields);
  const before = JSON.parse(localStorage.getItem(`draft:${id}:key`) || "null");
  if (before?.what === what) return before;
  const made = { what, key: newKey(), fields: more };
  keepDraft(`${id}:key`, JSON.stringify(made));
  return made;
}
/** @param {string} id @param {any} [error] whether it may be tried again */
export function settled(id, error) {
  if (!error?.retryable) keepDraft(`${id}:key`, "");
}

/** @param {{session: Session, talk: import("./talk.js").Talk}} given */
export function Composer({ session, talk }) {
  const id = session.id;
  const area = useRef(null);
  const chooser = useRef(null);
  const own = useMemo(() => writingOf(id), [id]);
  const write = (value) => own.write(value);
  const [text, files, editing, mode, busy] = [own.text.value, own.files.value, own.editing.value, own.mode.value, own.busy.value];
  const chosen = session.permissionMode || "default";
  const plans = mode ? mode === "planning" : chosen === "plan"; // whether what is sent now is
  const other = chosen === "plan" ? "As before the plan" : MODES[chosen] || chosen; // "normal" leaves a plan, and no other mode
  const working = session.state === "busy" || session.state === "waiting";
  useEffect(() => {
    if (!may("chat")) return;
    get(`/api/sessions/${id}/draft`).then((kept) => {
      own.shared = kept.text;
      if (kept.text && !draftOf(id) && !own.text.value) {
        own.text.value = kept.text;
        keepDraft(id, kept.text);
      }
    }, () => {});
  }, [id]);
  useEffect(() => {
    const field = area.current;
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, innerHeight * 0.4)}px`;
  }, [text]);
  useEffect(() => {
    if (!touch.matches && !document.activeElement?.closest("input, textarea")) area.current?.focus();
  }, [id]);
  const add = (list) => {
    const wanted = [...list];
    const tooBig = wanted.find((file) => file.size > MOST_BYTES);
    if (tooBig) note(`${shorten(visible(tooBig.name), 60)} is over 10 MB (${bytes(tooBig.size)}).`, true);
    const made = Promise.all(wanted.filter((file) => file.size <= MOST_BYTES).map(asPicture));
    own.coming = own.coming.then(() => made).then((fit) => {
      const all = [...own.files.value, ...fit];
      if (all.length > MOST_FILES) note("At most ten files in one message.", true);
      own.files.value = all.slice(0, MOST_FILES);
    });
  };
  const edit = (message, index) => {
    own.edit(message, index);
    area.current?.focus();
  };
  const change = async (words) => {
    try {
      talk.note(await patch(`/api/messages/${editing.id}`, { text: words }));
      own.leaveEditing();
    } catch (error) {
      note(error.message, true);
      if (error.status !== 409) return;
      // It was sent meanwhile: what was written stays.
      own.editing.value = null;
      write(own.text.value);
    }
  };
  const deliver = async (stop) => {
    await own.coming;
    const sent = own.files.value;
    if (!text.trim() && !sent.length) return;
    const message = { message: text, wait: 0, ...(mode ? { mode, sessionId: id } : {}) };
    const { key, fields } = tried(id, [message, sent.map((file) => [file.name, file.size, file.lastModified])], { ...message, ...(stop && working ? { interrupt: true } : {}) });
    try {
      const answer = await call("POST", mode ? "/api/chat" : `/api/sessions/${id}/messages`, formOf(fields, sent), { key, patience: 120000 });
      settled(id);
      // What was written meanwhile stays.
      const now = own.text.value;
      write(now.startsWith(text) ? now.slice(text.length) : now);
      own.files.value = own.files.value.filter((file) => !sent.includes(file));
      talk.follow = true;
      await talk.fetch(answer.messageId);
    } catch (error) {
      note(error.message, true);
      settled(id, error);
    }
  };
  // Also when it is away: that is how it is noticed soonest that it is back.
  const send = async (stop) => {
    if (own.busy.value || !may("chat")) return;
    own.busy.value = true;
    await (editing ? text.trim() && change(text.trim()) : deliver(stop));
    own.busy.value = false;
    area.current?.focus();
  };
  const key = (event) => {
    if (composes(event)) return;
    if (event.key === "Enter" && !event.shiftKey && (!touch.matches || event.metaKey || event.ctrlKey)) {
      event.preventDefault();
      send(event.metaKey || event.ctrlKey);
    } else if (event.key === "Escape") {
      if (editing) own.leaveEditing();
      else if (session.state === "busy" && may("chat")) interrupt(session);
      else area.current.blur();
    } else if (event.key === "ArrowUp" && !text && talk.queue.value.length) {
      event.preventDefault();
      const last = talk.queue.value.length - 1;
      edit(talk.queue.value[last], last);
    }
  };
  const paste = (event) => {
    const pasted = event.clipboardData.getData("text/plain");
    const long = new Blob([text, pasted]).size > MOST_TEXT;
    const given = long ? [new File([pasted], "pasted.txt", { type: "text/plain" })] : event.clipboardData.files;
    if (!given.length) return;
    event.preventDefault();
    add(given);
    if (long) note("That is more than one message takes, so it is attached as a file.");
  };
  const run = (command) => attempt(() => post(`/api/sessions/${id}/commands`, { command }, { patience: 60000 }).then((answer) => {
    if (answer.output) note(shorten(answer.output.trim().split("\n")[0], 200)); // the whole is in the conversation
    talk.settle();
    return answer;
  }));
  const cannot = hindrance("chat");
  return html`<${Queue} talk=${talk} edit=${edit} />
    <form class="compose" onSubmit=${(event) => { event.preventDefault(); send(false); }} onDragOver=${(event) => event.preventDefault()} onDrop=${(event) => { event.preventDefault(); if (event.dataTransfer.files.length) add(event.dataTransfer.files); }}>
      ${editing ? html`<p class="small muted editing"><${Icon} icon="edit" size="s" /> Editing a message that waits. Esc leaves it as it was.</p>` : null}
      ${files.length ? html`<div class="atts">${files.map((file, index) => html`<span class="att" key=${index}><${Icon} icon=${file.type.startsWith("image/") ? "image" : "file"} size="s" /><span class="clip" dir="auto">${visible(file.name)}</span><${IconBtn} icon="x" size="s" label=${`Remove ${visible(file.name)}`} onClick=${() => (own.files.value = files.filter((one) => one !== file))} /></span>`)}</div>` : null}
      <label class="sr" for="m">Message to Claude</label><textarea id="m" ref=${area} rows="1" dir="auto" placeholder=${session.state === "hibernated" ? "Message Claude (wakes it)" : "Message Claude"} value=${text} onInput=${(event) => write(event.target.value)} onKeyDown=${key} onPaste=${paste}></textarea>
      <div class="row-2"><input type="file" multiple hidden ref=${chooser} onChange=${(event) => { add(event.target.files); event.target.value = ""; }} />
        <${IconBtn} icon="attach" label="Attach a file, a photo or a picture" onClick=${() => chooser.current.click()} />
        <${Menu} kind="quiet" summary=${html`<${Icon} icon="plan" size="s" /><span>${plans ? MODES.plan : other}</span><${Icon} icon="down" size="s" />`}>${() => html`
          <${Item} icon=${plans ? "message" : "check"} onClick=${() => plans && (own.mode.value = "normal")}>${other}</${Item}><${Item} icon=${plans ? "check" : "plan"} onClick=${() => plans || (own.mode.value = "planning")}>${MODES.plan}: change nothing</${Item}>
          ${may("admin") ? html`<hr />${COMMANDS.map((command) => html`<${Item} icon="bash" key=${command} onClick=${() => run(command)}>${command}</${Item}>`)}` : null}`}</${Menu}>
        <span class="grow"></span>
        ${session.state === "busy" ? html`<button type="button" class="btn tight" onClick=${() => interrupt(session)}><${Icon} icon="stop" size="s" />Stop<kbd class="for-keys">Esc</kbd></button>` : null}
        <button type="submit" class="icon-btn solid" aria-label=${working ? "Queue this message" : "Send this message"} aria-disabled=${cannot ? "true" : undefined} title=${cannot} disabled=${busy}><${Icon} icon="send" /></button></div>
    </form>
    <div class="dock-foot mid"><div class="spread"><span>${text ? "Draft kept" : ""}</span><span class="for-keys"><kbd>Enter</kbd> ${working ? "queue" : "send"} · ${working ? html`<kbd>${COMMAND_KEY} Enter</kbd> stop the turn and send · ` : null}<kbd>Shift Enter</kbd> new line</span></div></div>`;
}

