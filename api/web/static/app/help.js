// What a session is, in plain words, and every key.
import { html } from "../vendor/preact.js";
import { Bar, KEYS, PLACES } from "./shell.js";
import { settings } from "./store.js";
import { COMMAND_KEY } from "./words.js";

const SHOWN = { A: "Shift A" };
const shown = (key) => SHOWN[key] || (key.length === 1 ? key.toUpperCase() : key);
/** @type {(...names: (keyof typeof KEYS)[]) => string[]} */
const keysOf = (...names) => names.map((name) => shown(KEYS[name]));
/** @type {[string, [string[], string][]][]} what is shown of them, by where they work */
const WHERE = [
  ["Everywhere", [[[`${COMMAND_KEY} K`, ...keysOf("search")], "search, or do anything; > in it for commands only"], [keysOf("create", "help"), "new session; this page"],
    [Object.keys(PLACES).map((key) => `${shown(KEYS.goTo)} ${shown(key)}`), "sessions, attention, health, settings"]]],
  ["In the list of sessions", [[[...keysOf("next", "previous"), "Enter"], "next, previous, open"], [keysOf("select", "filter"), "select, filter"]]],
  ["For the session in focus or open", [[keysOf("rename", "terminal", "extend"), "rename, terminal, extend"], [keysOf("recap", "hibernate", "wake"), "recap, hibernate, wake"]]],
  ["In a conversation", [[["Alt ↑", "Alt ↓"], "previous and next session"], [keysOf("first", "last"), "jump to the first word that is here, and to the last"]]],
  ["Where you write to Claude", [[["Enter", "Shift Enter"], "send or queue (on touch a new line); new line"], [[`${COMMAND_KEY} Enter`], "stop the turn and send"], [["Esc", "↑"], "stop the turn; edit the last queued message"]]],
  ["In attention", [[keysOf("next", "previous", "open"), "next, previous, open the conversation"], [keysOf("allow", "always", "deny"), "allow once, allow always, deny"], [[...keysOf("choose"), `${COMMAND_KEY} Enter`], "choose; send the answers"]]],
  ["In the terminal, with the keyboard", [[["Ctrl ] D"], "give the keyboard up; every other key goes to the session"]]],
];

export default function Help() {
  const hours = settings.value || {};
  const timeout = hours["sessions.timeout_hours"] || 24;
  const warning = hours["sessions.warning_hours"] || 20;
  return html`<main id="main" tabindex="-1"><${Bar} title="Help" back="#/settings" />
    <div class="body narrow prose help">
      <h2>What a session is</h2>
      <p>A session is one conversation with Claude in one folder of yours. Behind it is one living process on your machine: what you write is typed into it, and it answers with everything that it remembers. Close this page, restart pilotlight or lose the network: it goes on.</p>
      <h2>How long it stays</h2>
      <p>A session stays for ${timeout} hours after the last thing that happened in it: a message, a key, an answer, a task in the background. After ${warning} hours of silence it warns you once. <b>Extend</b> begins the time anew, and so does every message. With <b>Extend by itself</b> on, it does not expire.</p>
      <h2>Sleeping</h2>
      <p>A Claude at rest takes some 300 MB. When room is short, the one used least goes to sleep: its process ends, its conversation stays, and the next message wakes it within a second or so. <b>Hibernated</b> costs nothing. Looking never wakes anything.</p>
      <h2>What waits for you</h2>
      <p>Claude asks before it does what you have not allowed. Such a session is amber, here and under Attention, and stays as it is until you answer. The first answer counts, wherever it is given; a second one is told so.</p>
      <h2>Messages</h2>
      <p>Every message has its receipt: accepted, queued, typed, submitted, answered. While Claude works, messages wait in order; you can move, edit and cancel them. None is ever sent twice.</p>
      <h2>Ending</h2>
      <p>Ending a session ends its process. The conversation stays and can be reopened. A session that expired or crashed can be reopened too, and writing to it does so by itself.</p>
      <h2>Keys</h2>
      <p>Single letters and signs work outside fields only, and can be <a href="#/settings">switched off</a>.</p>
      ${WHERE.map(([where, rows]) => html`<h3>${where}</h3><dl class="facts keys-all">${rows.map(([keys, what]) => html`<dt>${keys.map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${what}</dd>`)}</dl>`)}
      <p class="muted small">The same is at the command line: <code>pilotlight --help</code>. For programs: <a href="/api/docs">the HTTP API</a>.</p>
    </div></main>`;
}
