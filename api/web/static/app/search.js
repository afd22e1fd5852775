// One palette: sessions, messages, what can be done, and conversations elsewhere on that machine. `>` asks for commands only.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { get, post } from "./api.js";
import { extend, hibernate, Sessions, wake } from "./sessions.js";
import { go } from "./shell.js";
import { attempt, draftOf, keepDraft, may, sessions, settings } from "./store.js";
import { Icon } from "./ui.js";
import { age, composes, dayOf, clock, minute, shorten, shortPath, span, stateOf, titleOf } from "./words.js";

const room = matchMedia("(min-width: 768px)"); // on a phone it is the whole screen
const PAUSE_MS = 180;
const MOST_HITS = 30;
const MOST_ELSEWHERE = 50;
const SCOPES = [["all", "Everything"], ["sessions", "Sessions"], ["messages", "Messages"], ["do", "Commands"], ["elsewhere", "Elsewhere"]];

function marked(text, marks) {
  const parts = [];
  let at = 0;
  for (const [start, end] of marks || []) {
    parts.push(text.slice(at, start), html`<mark>${text.slice(start, end)}</mark>`);
    at = end;
  }
  return [...parts, text.slice(at)];
}

function found(text, word) {
  const at = word ? text.toLowerCase().indexOf(word.toLowerCase()) : -1;
  return at < 0 ? text : marked(text, [[at, at + word.length]]);
}

// A conversation that nobody has named is called by how it began.
/** @param {Got<"/api/conversations">["conversations"][number]} one */
const nameOf = (one) => one.title || shorten(one.firstPrompt || "Untitled", 200);

function acts(word, found) {
  const list = [
    { icon: "plus", text: "New session", run: () => go("/new") },
    ...(word && found ? [{ icon: "plus", text: `New session with “${word}”`, more: "as its first message, not sent yet", run: () => { keepDraft("new", [draftOf("new"), word].filter(Boolean).join("\n")); go("/new"); } }] : []),
    { icon: "attention", text: "Attention", run: () => go("/attention") },
    { icon: "health", text: "Health", run: () => go("/health") },
    { icon: "settings", text: "Settings", run: () => go("/settings") },
    { icon: "info", text: "Help and keyboard", run: () => go("/help") },
  ];
  for (const one of sessions.value.values()) {
    if (one.state === "ended") continue;
    const title = `“${titleOf(one)}”`;
    list.push({ icon: "extend", text: `Extend ${title}`, more: `by ${settings.value?.["sessions.timeout_hours"] || 24} hours`, run: () => extend(one) });
    if (one.state === "hibernated") list.push({ icon: "wake", text: `Wake ${title}`, run: () => wake(one) });
    if (one.state === "idle" && may("admin")) list.push({ icon: "hibernated", text: `Hibernate ${title}`, run: () => hibernate(one) });
    list.push({ icon: "terminal", text: `Terminal of ${title}`, run: () => (location.href = `/terminal#${one.id}`) });
  }
  return list.filter((act) => act.text.toLowerCase().includes(word.toLowerCase()));
}

/** @param {{id: string | null}} given within one session, in conversations `elsewhere`, or everywhere */
export default function Search({ id }) {
  const [text, setText] = useState("");
  const [scope, setScope] = useState(id === "elsewhere" ? id : "all");
  const [hits, setHits] = useState(/** @type {Pick<Got<"/api/search">, "hits" | "complete">} */ ({ hits: [], complete: true }));
  const [searched, setSearched] = useState(""); // for what: nothing is offered where a hit will be
  const [elsewhere, setElsewhere] = useState(/** @type {Got<"/api/conversations">["conversations"]} */ ([]));
  const [at, setAt] = useState(0);
  const input = useRef(null);
  const within = id && sessions.value.get(id);
  const only = !within && text.startsWith(">");
  const word = text.replace(/^>\s*/, "").trim();
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) input.current.focus();
    if (may("admin")) get(`/api/conversations?limit=${MOST_ELSEWHERE}`).then((answer) => setElsewhere(answer.conversations), () => {});
  }, []);
  useEffect(() => {
    setAt(0);
    if (word.length < 2 || only) {
      setHits({ hits: [], complete: true });
      return undefined;
    }
    let here = true; // an answer for an older word may come behind that for a newer one
    const told = (answer) => {
      if (!here) return;
      setHits(answer);
      setSearched(word);
    };
    const timer = setTimeout(() => get(`/api/search?q=${encodeURIComponent(word)}&limit=${MOST_HITS}${within ? `&session=${id}` : ""}`).then(told, () => told({ hits: [], complete: true })), PAUSE_MS);
    return () => {
      here = false;
      clearTimeout(timer);
    };
  }, [text, id]);
  const most = { sessions: word ? 8 : 5, messages: MOST_HITS, do: word || only ? 12 : 5, elsewhere: scope === "elsewhere" ? MOST_ELSEWHERE : 6 };
  const named = [...sessions.value.values()].filter((one) => !word || `${titleOf(one)} ${one.projectPath}`.toLowerCase().includes(word.toLowerCase())).sort((a, b) => b.lastActivity - a.lastActivity).slice(0, most.sessions);
  const others = elsewhere.filter((one) => (word || scope === "elsewhere") && `${nameOf(one)} ${one.projectPath}`.toLowerCase().includes(word.toLowerCase())).slice(0, most.elsewhere);
  const show = (name) => (within ? name === "messages" : only ? name === "do" : scope === "all" || scope === name);
  /** @type {[string, string, {run: () => void, text: any, more?: string, icon?: string, state?: Session, end?: string}[]][]} */
  const all = [
    ["sessions", "Sessions", named.map((one) => ({ run: () => go(`/session/${one.id}`), state: one, text: found(titleOf(one), word), more: [shortPath(one.projectPath), stateOf(one).word, one.expiresAt && `${span(one.expiresAt - minute.value)} left`].filter(Boolean).join(" · ") }))],
    ["messages", "Messages", hits.hits.map((hit) => ({ run: () => (hit.sessionId ? go(`/session/${hit.sessionId}/${encodeURIComponent(hit.id)}`) : resume({ id: hit.conversationId, projectPath: hit.projectPath })), icon: hit.role === "user" ? "user" : "spark", text: marked(hit.snippet, hit.marks), more: `${hit.role === "user" ? "You" : "Claude"} · ${hit.title || shortPath(hit.projectPath)}`, end: hit.at ? `${dayOf(hit.at)}, ${clock(hit.at)}` : "" }))],
    ["do", "Do", acts(word, searched === word && !only).slice(0, most.do).map((act) => ({ ...act, text: found(act.text, word) }))],
    ["elsewhere", "Elsewhere on this machine", others.map((one) => ({ icon: "history", text: found(nameOf(one), word), more: `${shortPath(one.projectPath)} · made with claude in a terminal`, end: age(one.lastActivity), run: () => resume(one) }))],
  ];
  const counts = Object.fromEntries(all.map(([name, , list]) => [name, word && list.length]));
  const groups = all.filter(([name, , list]) => show(name) && list.length);
  const flat = groups.flatMap(([, , list]) => list);
  /** @param {{id: string, projectPath: string | null}} one */
  const resume = (one) => attempt(async () => {
    const made = await post("/api/sessions", { projectPath: one.projectPath, resume: one.id }, { patience: 60000 });
    go(`/session/${made.session.id}`);
    return made;
  });
  const key = (event) => {
    if (composes(event)) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const next = Math.max(0, Math.min(flat.length - 1, at + step));
      setAt(next);
      document.getElementById(`h${next}`)?.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && flat[at]) {
      event.preventDefault();
      flat[at].run();
    } else if (event.key === "Escape") history.back();
  };
  let number = -1;
  return html`${room.matches ? html`<${Sessions} behind />` : null}<main id="main" tabindex="-1"><h1 class="sr">Search</h1><div class="veil palette-veil static"><div class="palette" role="search">
    <div class="ask-line"><${Icon} icon="search" /><input ref=${input} type="text" role="combobox" aria-expanded="true" aria-controls="hits" aria-activedescendant=${flat.length ? `h${at}` : undefined} aria-label="Search sessions, messages and commands" placeholder=${within ? "Search in this conversation" : "Search, or > to do something"} value=${text} autocomplete="off" onInput=${(event) => setText(event.target.value)} onKeyDown=${key} /><a class="icon-btn phone" href="#/sessions" aria-label="Close"><${Icon} icon="x" /></a><kbd class="for-keys mid">Esc</kbd></div>
    <div class="scopes"><div class="chips" role="group" aria-label="What to search">${within ? html`<a class="chip" href="#/search" aria-label=${`Only in “${titleOf(within)}”. Search everywhere`}><span class="clip" dir="auto">In “${titleOf(within)}”</span><${Icon} icon="x" size="s" /></a>` : SCOPES.map(([name, title]) => html`<button type="button" class="chip" key=${name} aria-pressed=${scope === name ? "true" : "false"} onClick=${() => setScope(name)}>${title}${counts[name] ? html` <span class="num">${counts[name]}${counts[name] >= most[name] ? "+" : ""}</span>` : null}</button>`)}</div></div>
    <div class="hits" id="hits" role="listbox" aria-label="Results" tabindex="0">${groups.map(([name, title, list]) => html`<div role="group" aria-labelledby=${`g-${name}`} key=${name}><div class="hit-label" id=${`g-${name}`}>${title}</div>${list.map((hit) => {
      const index = ++number;
      return html`<div class="hit" role="option" id=${`h${index}`} key=${index} aria-selected=${index === at ? "true" : "false"} onClick=${hit.run}>${hit.state ? html`<span class=${`state s-${stateOf(hit.state).color}`}><${Icon} icon=${stateOf(hit.state).icon} /></span>` : html`<span><${Icon} icon=${hit.icon} /></span>`}<span class="grow"><span class="clip-2" dir="auto">${hit.text}</span>${hit.more ? html`<span class="d clip-2" dir="auto">${hit.more}</span>` : null}</span><span class="end">${hit.end || ""}</span></div>`;
    })}</div>`)}${!flat.length && (word || !within) ? html`<div role="option" aria-selected="false" class="hit"><span></span><span class="muted">Nothing matches “${word}”.</span></div>` : null}</div>
    <div class="foot"><span><kbd>↑</kbd> <kbd>↓</kbd> move</span><span><kbd>Enter</kbd> open</span><span><kbd>${">"}</kbd> commands only</span><span class="grow"></span>${hits.complete ? null : html`<span>Older transcripts are still being read</span>`}</div>
  </div></div></main>`;
}
