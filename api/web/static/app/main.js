// The start: who are we, then the view that the address names. Views beyond the first are fetched when they are opened; a page that
// was opened before an update of the server asks to be loaded again, and loses no draft.
import { effect, html, render, signal, useEffect } from "../vendor/preact.js";
import { away, signedOut } from "./api.js";
import { Sessions } from "./sessions.js";
import { Bar, Flame, keys, route, Shell, updated, viewKeys } from "./shell.js";
import { begin, loaded, look, me } from "./store.js";
import { link } from "./stream.js";
import { Bones, Btn, Empty, trustedScript, WORKER } from "./ui.js";

const LATER = {
  session: () => import("./conversation.js"),
  attention: () => import("./attention.js"),
  new: () => import("./new.js"),
  search: () => import("./search.js"),
  health: () => import("./health.js"),
  settings: () => import("./settings.js"),
  help: () => import("./help.js"),
  "sign-in": () => import("./signin.js"),
};
const fetched = signal({});
const failed = signal(null);

function Later({ view, id, rest }) {
  const name = LATER[view] ? view : "help";
  useEffect(() => {
    if (!fetched.value[name]) {
      LATER[name]().then(
        (module) => (fetched.value = { ...fetched.value, [name]: module.default }),
        () => (failed.value = name),
      );
    }
  }, [name]);
  const View = fetched.value[name];
  if (View) return html`<${View} id=${id} rest=${rest} key=${name + (id || "")} />`;
  if (failed.value === name) {
    return html`<main id="main" tabindex="-1"><${Empty} icon="refresh" title="This page is of an older version">
      <p class="soft">pilotlight was updated since it was loaded. Drafts stay.</p><${Btn} kind="primary" onClick=${() => location.reload()}>Load it again</${Btn}></${Empty}></main>`;
  }
  return html`<main id="main" tabindex="-1"><${Bar} title="" /><div class="body"><${Bones} /></div></main>`;
}

const HEALTH_MS = 60000;
const started = signal(false);

async function start() {
  try {
    await begin();
    if (!started.value) {
      setTimeout(() => import("./push.js").then((push) => push.begin(), () => {}), 1500);
      setTimeout(look, 2000);
      const again = () => document.visibilityState === "visible" && !signedOut.value && !away.value && look();
      setInterval(again, HEALTH_MS);
      addEventListener("visibilitychange", again);
      addEventListener("visibilitychange", () => document.visibilityState === "visible" && signedOut.value && start()); // as in another window
    }
    started.value = true;
  } catch (error) {
    if (error.status !== 401) setTimeout(start, 2000);
  }
}

function Waiting() {
  return html`<main id="main" class="gate" tabindex="-1"><div class="gate-card"><${Flame} />
    <p class="soft">${away.value ? `${away.value.why} Trying again.` : "One moment."}</p></div></main>`;
}

function App() {
  const { view, id, rest } = route.value;
  const invited = view === "sign-in" && id;
  if (signedOut.value || invited) return html`<${Shell} bare><${Later} view="sign-in" id=${invited || null} rest=${rest} /></${Shell}>`;
  if (!started.value && !loaded.value) return away.value ? html`<${Shell} bare><${Waiting} /></${Shell}>` : null;
  if (view === "sessions" || view === "sign-in") return html`<${Shell}><${Sessions} /></${Shell}>`;
  return html`<${Shell}><${Later} view=${view} id=${id} rest=${rest} /></${Shell}>`;
}

export function signedIn(answer) {
  me.value = answer;
  signedOut.value = false;
  start();
}

function register() {
  if (!("serviceWorker" in navigator) || !isSecureContext) return;
  navigator.serviceWorker.register(trustedScript(WORKER)).then((registration) => {
    if (!registration) return; // a browser that was told not to keep any
    const look = () => {
      if (registration.waiting && navigator.serviceWorker.controller) updated.value = registration.waiting;
    };
    look();
    let live = link.value === "live";
    effect(() => {
      const now = link.value === "live";
      if (now && !live) registration.update().catch(() => {}); // whoever is back may be newer, and this page may be open for weeks
      live = now;
    });
    registration.addEventListener("updatefound", () => registration.installing?.addEventListener("statechange", look));
  }, () => {});
}

document.getElementById("app").replaceChildren();
render(html`<${App} />`, document.getElementById("app"));
addEventListener("pilotlight-signed-in", (event) => signedIn(/** @type {CustomEvent} */ (event).detail));
keys(viewKeys);
if (!(route.value.view === "sign-in" && route.value.id)) start();
addEventListener("load", () => setTimeout(register, 1500));
