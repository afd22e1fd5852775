// A new session: folder first, then the first message, then how. Trust is a person's choice, shown as it is. What the server refuses
// stays on the page, with its reason.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { get, newKey, post } from "./api.js";
import { settled, tried } from "./compose.js";
import { Bar, go } from "./shell.js";
import { draftOf, hindrance, keepDraft, live, may, note, put, sessions, settings } from "./store.js";
import { Icon } from "./ui.js";
import { age, COMMAND_KEY, folderName, many, MODES, shortPath } from "./words.js";

const MEANING = [
  ["default", "Reads freely; asks before it changes or runs anything."],
  ["plan", "Changes nothing until you approve a plan."],
  ["acceptEdits", "Changes files in this folder; asks before it runs commands."],
];

/** @type {Record<string, string>} */
const ACTS = { default: ", asks before it acts", plan: ", plans first", acceptEdits: ", changes files without asking" };

function recent() {
  const found = new Map();
  for (const one of sessions.value.values()) {
    const before = found.get(one.projectPath) || { path: one.projectPath, count: 0, live: 0, at: 0, trusted: false };
    found.set(one.projectPath, { ...before, count: before.count + 1, live: before.live + (["ended", "hibernated"].includes(one.state) ? 0 : 1), trusted: before.trusted || Boolean(one.trust), at: Math.max(before.at, one.lastActivity) });
  }
  return [...found.values()].sort((a, b) => b.at - a.at);
}

export default function New({ id }) {
  const folders = recent();
  const [path, setPath] = useState(id || "");
  const [chosen, setChosen] = useState(id || folders[0]?.path || "");
  const [text, setText] = useState(draftOf("new"));
  const [mode, setMode] = useState("default");
  const [model, setModel] = useState("");
  const [title, setTitle] = useState("");
  const [trust, setTrust] = useState(false);
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState(null);
  const asked = useRef(null); // {what, key}: a session that was asked for, and of which nothing was heard
  const [places, setPlaces] = useState(/** @type {Got<"/api/folders">["folders"]} */ ([])); // what lies where the path points to
  useEffect(() => {
    if ((path && !/^[~/]/.test(path)) || !may("chat")) return undefined;
    const timer = setTimeout(() => get(`/api/folders?limit=12&path=${encodeURIComponent(path)}`).then((answer) => setPlaces(answer.folders), () => setPlaces([])), path ? 200 : 0);
    return () => clearTimeout(timer);
  }, [path]);
  const most = settings.value?.["sessions.max_concurrent"] || 10;
  const free = Math.max(0, most - live.value.length);
  const target = path.trim() || chosen;
  const beside = places.filter((place) => !folders.some((one) => one.path === place.path));
  const shown = folders.filter((one) => !path || one.path.toLowerCase().includes(path.toLowerCase().replace(/^~/, ""))).slice(0, 8);
  const open = async (event) => {
    event?.preventDefault();
    if (!target || busy) return;
    setBusy(true);
    setWrong(null);
    try {
      const body = { projectPath: target, title: title.trim() || undefined, model: model.trim() || undefined, permissionMode: mode === "default" ? undefined : mode, trust: trust || undefined };
      const what = JSON.stringify(body);
      const key = asked.current?.what === what ? asked.current.key : newKey();
      asked.current = { what, key };
      const { session } = await post("/api/sessions", body, { key, patience: 60000 });
      put(session);
      asked.current = null;
      keepDraft("new", "");
      if (text.trim()) {
        const message = { message: text, wait: 0 };
        keepDraft(session.id, text); // until it is there: what fails now is tried again in the conversation, as the same message
        await post(`/api/sessions/${session.id}/messages`, message, { key: tried(session.id, [message, []], message).key }).then(() => {
          settled(session.id);
          keepDraft(session.id, "");
        }, (error) => {
          note(error.message, true);
          settled(session.id, error);
        });
      }
      go(`/session/${session.id}`);
    } catch (error) {
      setWrong(error.message);
      note(error.message, true);
      if (!error.retryable) asked.current = null;
    }
    setBusy(false);
  };
  const write = (value) => {
    setText(value);
    keepDraft("new", value);
  };
  return html`<main id="main" tabindex="-1"><${Bar} title="New session" sub=${`${many(free, "slot")} of ${most} free`} back="#/sessions" />
    <div class="body narrow"><form class="new-grid" onSubmit=${open} onKeyDown=${(event) => event.key === "Enter" && (event.metaKey || event.ctrlKey) && open(event)}>
      <section class="set pad stack"><h2>Where</h2>
        <label class="with-icon"><${Icon} icon="folder" /><span class="sr">Find a folder, or type a path</span><input class="input" dir="ltr" placeholder="Find a folder, or type a path" value=${path} onInput=${(event) => setPath(event.target.value)} spellcheck="false" autocapitalize="off" /></label>
        ${wrong ? html`<div class="note bad" role="alert"><span><${Icon} icon="failed" size="s" /></span><p>${wrong}</p></div>` : null}
        ${shown.length ? html`<div class="choices" role="radiogroup" aria-label="Folder">${shown.map((one) => html`<label class="choice" key=${one.path}><input class="tick" type="radio" name="p" checked=${target === one.path} onChange=${() => { setChosen(one.path); setPath(""); }} /><span class="grow"><b class="path">${shortPath(one.path)}</b><span class="d">${many(one.count, "session")}, ${one.live} live · ${age(one.at)}</span></span>${one.trusted ? html`<span class="pill ok"><${Icon} icon="trust" size="s" />Trusted</span>` : null}</label>`)}</div>` : html`<p class="small muted">${path ? `A new folder: ${folderName(path)}` : "Type the path of a folder on that machine, such as ~/shop."}</p>`}
        ${beside.length ? html`<div class="stack"><span class="label small">${path ? "In there" : "Where Claude was used before"}</span><div class="chips" role="group" aria-label="Folders">${beside.map((place) => html`<button type="button" class="chip" key=${place.path} title=${place.path} onClick=${() => setPath(place.kind === "folder" ? `${place.path}/` : place.path)}><${Icon} icon=${place.kind === "project" ? "spark" : "folder"} size="s" />${path ? place.name : shortPath(place.path)}</button>`)}</div></div>` : null}
        <label class="switch small"><input type="checkbox" role="switch" checked=${trust} disabled=${!may("answer")} onChange=${(event) => setTrust(event.target.checked)} /><span>I trust the files in this folder<span class="d muted small"> Otherwise Claude asks first.</span></span></label></section>
      <div class="stack-l">
        <section class="set pad stack"><h2>First message</h2><div class="compose"><label class="sr" for="first">First message</label><textarea id="first" rows="4" dir="auto" placeholder="What should Claude do? You can also leave this empty." value=${text} onInput=${(event) => write(event.target.value)}></textarea></div></section>
        <section class="set pad stack"><h2>How</h2>
          <div class="grid-2"><label class="field"><span class="label">Title</span><input class="input" dir="auto" placeholder="From the first message" value=${title} onInput=${(event) => setTitle(event.target.value)} /></label>
            <label class="field"><span class="label">Model</span><input class="input" placeholder="Claude’s own choice" value=${model} onInput=${(event) => setModel(event.target.value)} list="models" /><datalist id="models"><option value="opus"></option><option value="sonnet"></option><option value="haiku"></option></datalist></label></div>
          <fieldset class="q"><legend class="label">What Claude may do without asking</legend><div class="choices">${MEANING.map(([value, said]) => html`<label class="choice" key=${value}><input class="tick" type="radio" name="mode" checked=${mode === value} disabled=${value !== "default" && !may("admin")} onChange=${() => setMode(value)} /><span><b>${MODES[value]}</b><span class="d">${said}</span></span></label>`)}</div></fieldset></section></div>
      <div class="save"><span class="small muted grow">${target ? html`Opens in <b class="path">${shortPath(target)}</b>${ACTS[mode]}` : "Choose a folder"}${free ? "" : ". All slots are busy: the least used idle one sleeps for it."}</span><a class="btn mid" href="#/sessions">Cancel</a><button type="submit" class="btn primary" disabled=${busy || !target || Boolean(hindrance("chat"))} title=${hindrance("chat")}>${busy ? "Opening…" : "Open session"} <kbd class="for-keys">${COMMAND_KEY} Enter</kbd></button></div>
    </form></div></main>`;
}
