// What there is before the first session: what comes next, and in the demo three things to try, each a click that opens a session and
// sends a message to its scripted model. What that model does stands in the message, so it is shown as it is sent.
import { html, useEffect, useState } from "../vendor/preact.js";
import { get, newKey, post } from "./api.js";
import { go } from "./shell.js";
import { attempt, may, put, settings } from "./store.js";
import { Btn, Empty, Icon } from "./ui.js";

/** @type {[icon: string, title: string, what: string, message: string][]} */
const TRIES = [
  ["message", "Say hello", "It answers, and says what else it can do.", "Hello, what can you do?"],
  ["permission", "Let it ask for permission", "It wants to make a file; you see the command first, and decide.", 'Make a file. [[tool Bash {"command": "touch made-by-claude", "description": "Make a file"}]]'],
  ["question", "Let it ask you a question", "It needs to know something; your answer goes back to it.", '[[ask "Which colour shall it be?" Red Blue Green]]'],
];

const STEPS = [
  ["Choose a folder", "Claude asks before it trusts one. You may say yes right there."],
  ["Write the first message", "You can close this page at once: the reply will be here when you return."],
];

// In the folder that is pilotlight’s own: nothing of anybody lies in it.
const keys = {}; // what was tried and not answered: a second try is the same request
const open = (title, message) => attempt(async () => {
  keys[title] ||= newKey();
  const sent = await post("/api/chat", { message, title, trust: may("answer") || undefined, wait: 0 }, { key: keys[title], patience: 60000 });
  delete keys[title];
  put((await get(`/api/sessions/${sent.sessionId}`)).session);
  go(`/session/${sent.sessionId}`);
});

function Tries() {
  const [busy, setBusy] = useState(false);
  const start = async (title, message) => {
    setBusy(true);
    await open(title, message);
    setBusy(false);
  };
  return html`<section class="tries" aria-labelledby="try-h"><h2 id="try-h">Try it: this is the demo</h2>
    <p class="small soft">The real CLI, answered by a scripted model on this machine. Nothing leaves it, and no login is needed.</p>
    <ul>${TRIES.map(([icon, title, what, message]) => html`<li key=${title}><button type="button" class="card" disabled=${busy || !may("chat")} onClick=${() => start(title, message)}><${Icon} icon=${icon} /><span><b>${title}</b><span class="muted small">${what}</span></span><${Icon} icon="right" size="s" /></button></li>`)}</ul></section>`;
}

export function FirstRun() {
  const [demo, setDemo] = useState(false);
  const [elsewhere, setElsewhere] = useState(0);
  useEffect(() => {
    get("/api/status").then((status) => setDemo(status.demo), () => {});
    if (may("admin")) get("/api/conversations?limit=100").then((answer) => setElsewhere(answer.conversations.length), () => {});
  }, []);
  return html`<${Empty} icon="flame-live" title="No session yet">
    <p class="soft">A session is one living Claude in a folder of yours. It stays for ${settings.value?.["sessions.timeout_hours"] || 24} hours after your last word, is warned before it ends, sleeps when memory is short, and can always go on.</p>
    ${demo ? html`<${Tries} /><h2 class="own-folder">With a folder of your own</h2>` : null}
    <a class="btn primary" href="#/new"><${Icon} icon="plus" size="s" />Open the first session <kbd class="for-keys">N</kbd></a>
    <ol class="steps-list">${STEPS.map(([title, what], index) => html`<li class="card" key=${title}><span class="n">${index + 1}</span><div><b>${title}</b><p class="muted small">${what}</p></div></li>`)}
      <li class="card"><span class="n">3</span><div class="grow"><b>Take it with you</b><p class="muted small">Scan a code, and the same sessions are on your phone, with notifications.</p></div><a class="btn tight" href="#/settings/devices"><${Icon} icon="qr" size="s" />Pair</a></li></ol>
    ${demo ? html`<p class="small muted">To use your own account: run <code>claude</code> there, log in, then <code>pilotlight down --all</code> and <code>pilotlight up --no-demo</code>.</p>` : null}
    ${elsewhere ? html`<p class="small muted">Already talked to Claude on this machine? <a href="#/search/elsewhere">Go on with one of ${elsewhere === 100 ? "100 and more" : elsewhere} conversations</a></p>` : null}
    <p class="small muted"><a href="#/help">What is a session?</a></p></${Empty}>`;
}
