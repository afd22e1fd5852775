// What a person sees of it when pilotlight is away for longer than a restart takes: what goes on, what works meanwhile, and what to
// type where it runs.
import { html } from "../vendor/preact.js";
import { away } from "./api.js";
import { Copy } from "./copy.js";
import { keeps, me, tryNow } from "./store.js";
import { Btn, Icon } from "./ui.js";
import { age } from "./words.js";

const WORKS = ["Read what this page has", "Write drafts; they stay on this device"];
const WAITS = ["Sending, and answers to what Claude asks", "The live terminal, fresh numbers, settings"];
const COMMANDS = ["pilotlight status", "pilotlight up --detach"];

export function Away() {
  if (!away.value) return null;
  const supervisor = away.value.what === "supervisor";
  const works = keeps() ? ["Read the conversations that are kept on this device", ...WORKS.slice(1)] : WORKS;
  const list = (icon, lines) => html`<ul class="plain">${lines.map((line) => html`<li key=${line}><${Icon} icon=${icon} size="s" />${line}</li>`)}</ul>`;
  return html`<div class="stack"><section class="card pad away-card" aria-labelledby="o-h"><div class="away-grid"><${Icon} icon="flame-out" size="xl" /><div class="stack"><h2 id="o-h" class="h-big">${supervisor ? "The supervisor is away." : "pilotlight cannot be reached."} Your sessions go on.</h2>
      <p class="soft">Every Claude is a process of its own and keeps working; what it says is written down and shows up here when ${supervisor ? "the supervisor is back" : "the way there is open again"}. You need not reload.</p>
      <div class="btns"><${Btn} icon="refresh" kind="primary" onClick=${tryNow}>Try now</${Btn}><span class="muted small num">Away for ${age(away.value.since)}</span></div></div></div></section>
    <div class="grid-2"><section class="card pad stack"><h2>Still works</h2>${list("check", works)}</section><section class="card pad stack"><h2>Has to wait</h2>${list("x", WAITS)}</section></div>
    <section class="card pad stack"><h2>When it does not come back</h2><p class="soft small">On ${me.value?.host || "the machine where it runs"}, the first tells why, the second starts it:</p><div class="grid-2">${COMMANDS.map((command) => html`<div class="cmd" key=${command}><code tabindex="0">${command}</code><${Copy} text=${command} label=${`Copy: ${command}`} /></div>`)}</div></section></div>`;
}
