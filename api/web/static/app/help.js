// What a session is, in plain words, and every key.
import { html } from "../vendor/preact.js";
import { Bar } from "./shell.js";
import { settings } from "./store.js";

const KEYS = [
  ["⌘K or Ctrl K, /", "search, or do anything; > for commands only"], ["G then S, A, H or ,", "sessions, attention, health, settings"], ["N, ?", "new session; this page"],
  ["J, K, Enter, X, F", "next, previous, open, select, filter"], ["E, T, +, R, Z, W", "rename, terminal, extend, recap, hibernate, wake"],
  ["A, Shift A, D, 1–9, ⌘Enter, O", "in attention: allow once, always, deny, choose, send the answers, open the conversation"], ["Enter, Shift Enter, ⌘Enter", "in the composer: send or queue, new line, stop the turn and send"],
  ["Esc, ↑", "in the composer: stop the turn, edit the last queued"], ["Alt ↑, Alt ↓, Shift E", "previous and next session; jump to the last word"], ["Ctrl ] then D", "in the terminal: give the keyboard up"],
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
      <dl class="facts keys-all">${KEYS.map(([keys, what]) => html`<dt><kbd>${keys}</kbd></dt><dd>${what}</dd>`)}</dl>
      <p class="muted small">The same is at the command line: <code>pilotlight --help</code>. For programs: <a href="/api/docs">the HTTP API</a>.</p>
    </div></main>`;
}
