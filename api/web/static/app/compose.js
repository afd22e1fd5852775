// The dock: messages that wait, and the one that is being written. A draft goes only when its receipt is here; a retry after silence
// has the same key, so nothing is sent twice. Enter sends (on touch it makes a new line), Escape stops the turn.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { call, del, get, newKey, patch, post, put } from "./api.js";
import { interrupt } from "./sessions.js";
import { attempt, draftOf, hindrance, keepDraft, may, note } from "./store.js";
import { Icon, IconBtn, Item, Menu } from "./ui.js";
import { bytes, COMMAND_KEY, many, MODES, shorten, visible } from "./words.js";

const MOST_BYTES = 10 * 1024 * 1024;
const MOST_FILES = 10;
const DRAFT_PAUSE_MS = 2000;
const touch = matchMedia("(pointer: coarse)");
const COMMANDS = ["/compact", "/context", "/cost", "/clear", "/model", "/help"];

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

/** @param {{session: Session, talk: import("./talk.js").Talk}} given */
export function Composer({ session, talk }) {
  const id = session.id;
  const area = useRef(null);
  const chooser = useRef(null);
  const [text, setText] = useState(draftOf(id));
  const [files, show] = useState([]);
  const attached = useRef(files); // what it is now: a picture that is being made into another is waited for
  const coming = useRef(Promise.resolve());
  const attach = (list) => show((attached.current = list));
  const [editing, setEditing] = useState(null);
  const [busy, setBusy] = useState(false);
  const [mode, setMode] = useState("");
  const chosen = session.permissionMode || "default";
  const plans = mode ? mode === "planning" : chosen === "plan"; // whether what is sent now is
  const other = chosen === "plan" ? "As before the plan" : MODES[chosen] || chosen; // "normal" leaves a plan, and no other mode
  const tried = useRef(null); // {text, key}: what was sent without an answer
  const working = session.state === "busy" || session.state === "waiting";
  const later = useRef(0);
  const shared = useRef(""); // the draft as the server has it
  const share = (value) => {
    clearTimeout(later.current);
    if (value === shared.current || !may("chat")) return;
    shared.current = value;
    put(`/api/sessions/${id}/draft`, { draft: value }).catch(() => (shared.current = null));
  };
  const write = (value) => {
    setText(value);
    keepDraft(id, value);
    clearTimeout(later.current);
    later.current = setTimeout(() => share(value), value ? DRAFT_PAUSE_MS : 0);
  };
  useEffect(() => {
    if (!may("chat")) return undefined;
    get(`/api/sessions/${id}/draft`).then((kept) => {
      shared.current = kept.text;
      if (kept.text && !draftOf(id) && !area.current?.value) {
        setText(kept.text);
        keepDraft(id, kept.text);
      }
    }, () => {});
    return () => clearTimeout(later.current);
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
    coming.current = coming.current.then(() => made).then((fit) => {
      const all = [...attached.current, ...fit];
      if (all.length > MOST_FILES) note("At most ten files in one message.", true);
      attach(all.slice(0, MOST_FILES));
    });
  };
  const edit = (message, index) => {
    setEditing({ id: message.id, index });
    write(message.text);
    area.current?.focus();
  };
  const send = async (stop) => {
    const words = text.trim();
    if (busy || hindrance("chat")) return;
    setBusy(true);
    await coming.current;
    const sent = attached.current;
    if (!words && !sent.length) return void setBusy(false);
    const key = tried.current?.text === text ? tried.current.key : newKey();
    tried.current = { text, key };
    // What was written meanwhile stays.
    const leave = () => {
      const now = area.current?.value ?? text;
      write(now.startsWith(text) ? now.slice(text.length) : now);
    };
    try {
      if (editing) {
        talk.note(await patch(`/api/messages/${editing.id}`, { text: words }));
        tried.current = null;
        leave();
        setEditing(null);
        setBusy(false);
        area.current?.focus();
        return;
      }
      const fields = { message: text, wait: 0, ...(mode ? { mode, sessionId: id } : {}), ...(stop && working ? { interrupt: true } : {}) };
      /** @type {any} */
      let body = fields;
      if (sent.length) {
        body = new FormData();
        for (const [name, value] of Object.entries(fields)) body.append(name, String(value));
        for (const file of sent) body.append("file", file, file.name);
      }
      const answer = await call("POST", mode ? "/api/chat" : `/api/sessions/${id}/messages`, body, { key, patience: 120000 });
      tried.current = null;
      leave();
      attach(attached.current.filter((file) => !sent.includes(file)));
      setEditing(null);
      talk.follow = true;
      await talk.fetch(answer.messageId);
    } catch (error) {
      note(error.message, true);
      if (!error.retryable) tried.current = null;
      if (error.status === 409 && editing) setEditing(null);
    }
    setBusy(false);
    area.current?.focus();
  };
  const key = (event) => {
    if (event.isComposing || event.keyCode === 229) return; // Safari has ended the composition by the Enter that takes its word
    if (event.key === "Enter" && !event.shiftKey && (!touch.matches || event.metaKey || event.ctrlKey)) {
      event.preventDefault();
      send(event.metaKey || event.ctrlKey);
    } else if (event.key === "Escape") {
      if (editing) {
        setEditing(null);
        write("");
      } else if (session.state === "busy" && may("chat")) interrupt(session);
      else area.current.blur();
    } else if (event.key === "ArrowUp" && !text && talk.queue.value.length) {
      event.preventDefault();
      const last = talk.queue.value.length - 1;
      edit(talk.queue.value[last], last);
    }
  };
  const paste = (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      add(event.clipboardData.files);
    }
  };
  const run = (command) => attempt(() => post(`/api/sessions/${id}/commands`, { command }, { patience: 60000 }).then((answer) => {
    if (answer.output) note(answer.output);
    talk.settle();
    return answer;
  }));
  const cannot = hindrance("chat");
  return html`<${Queue} talk=${talk} edit=${edit} />
    <form class="compose" onSubmit=${(event) => { event.preventDefault(); send(false); }} onDragOver=${(event) => event.preventDefault()} onDrop=${(event) => { event.preventDefault(); if (event.dataTransfer.files.length) add(event.dataTransfer.files); }}>
      ${editing ? html`<p class="small muted editing"><${Icon} icon="edit" size="s" /> Editing a message that waits. Esc leaves it as it was.</p>` : null}
      ${files.length ? html`<div class="atts">${files.map((file, index) => html`<span class="att" key=${index}><${Icon} icon=${file.type.startsWith("image/") ? "image" : "file"} size="s" /><span class="clip" dir="auto">${visible(file.name)}</span><${IconBtn} icon="x" size="s" label=${`Remove ${visible(file.name)}`} onClick=${() => attach(attached.current.filter((one) => one !== file))} /></span>`)}</div>` : null}
      <label class="sr" for="m">Message to Claude</label><textarea id="m" ref=${area} rows="1" dir="auto" placeholder=${session.state === "hibernated" ? "Message Claude (wakes it)" : "Message Claude"} value=${text} onInput=${(event) => write(event.target.value)} onKeyDown=${key} onPaste=${paste}></textarea>
      <div class="row-2"><input type="file" multiple hidden ref=${chooser} onChange=${(event) => { add(event.target.files); event.target.value = ""; }} />
        <${IconBtn} icon="attach" label="Attach a file, a photo or a picture" onClick=${() => chooser.current.click()} />
        <${Menu} kind="quiet" summary=${html`<${Icon} icon="plan" size="s" /><span>${plans ? MODES.plan : other}</span><${Icon} icon="down" size="s" />`}>${() => html`
          <${Item} icon=${plans ? "message" : "check"} onClick=${() => plans && setMode("normal")}>${other}</${Item}><${Item} icon=${plans ? "check" : "plan"} onClick=${() => plans || setMode("planning")}>${MODES.plan}: change nothing</${Item}>
          ${may("admin") ? html`<hr />${COMMANDS.map((command) => html`<${Item} icon="bash" key=${command} onClick=${() => run(command)}>${command}</${Item}>`)}` : null}`}</${Menu}>
        <span class="grow"></span>
        ${session.state === "busy" ? html`<button type="button" class="btn tight" onClick=${() => interrupt(session)}><${Icon} icon="stop" size="s" />Stop<kbd class="for-keys">Esc</kbd></button>` : null}
        <button type="submit" class="icon-btn solid" aria-label=${working ? "Queue this message" : "Send this message"} aria-disabled=${cannot ? "true" : undefined} title=${cannot} disabled=${busy}><${Icon} icon="send" /></button></div>
    </form>
    <div class="dock-foot mid"><div class="spread"><span>${text ? "Draft kept" : ""}</span><span class="for-keys"><kbd>Enter</kbd> ${working ? "queue" : "send"} · ${working ? html`<kbd>${COMMAND_KEY} Enter</kbd> stop the turn and send · ` : null}<kbd>Shift Enter</kbd> new line</span></div></div>`;
}

