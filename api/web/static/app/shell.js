// The frame around every view: navigation, the flame that is the connection, the banner when something is away, and what readers
// are told. The address behind the `#` says which view; keys that are letters work outside fields only.
import { html, signal, useEffect, useLayoutEffect, useRef, useSignalEffect } from "../vendor/preact.js";
import { away, signedOut } from "./api.js";
import { asOf, findings, loaded, sessions, settings, spoken, stale, waiting } from "./store.js";
import { link } from "./stream.js";
import { Dialogs, Icon, IconBtn, Notices } from "./ui.js";
import { clock } from "./words.js";

export const route = signal(parsed());
addEventListener("hashchange", () => (route.value = parsed()));

function parsed() {
  const [view, id, ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decoded);
  return { view: view || "sessions", id: id || null, rest };
}

// What somebody has cut off in a link, or typed, is no reason to show nothing.
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function go(path) {
  location.hash = path;
}

export const updated = signal(null); // a service worker that waits to take over

const ITEMS = [
  ["sessions", "Sessions"],
  ["attention", "Attention"],
  ["search", "Search"],
  ["health", "Health"],
  ["settings", "Settings"],
];

function flame() {
  if (away.value) return ["away", "flame-out", "Away"];
  if (link.value !== "live") return ["", "flame", "Catching up"];
  return ["", "flame-live", "Live"];
}

export function Flame() {
  const [kind, icon, word] = flame();
  return html`<span class=${`flame phone ${kind}`}><${Icon} icon=${icon} />${word}</span>`;
}

const THEMES = ["auto", "light", "dark"];
export const theme = signal(localStorage.getItem("theme") || "auto");
export function setTheme(name) {
  theme.value = name;
  localStorage.setItem("theme", name);
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
}
setTheme(theme.value);

function Nav() {
  const [kind, icon, word] = flame();
  const here = { session: "sessions", new: "sessions", help: "settings" }[route.value.view] || route.value.view;
  const count = waiting.value.length;
  const icons = { auto: "auto", light: "sun", dark: "moon" };
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % 3];
  return html`<nav class="nav" aria-label="Main">
    <a class=${`brand ${kind}`} href="#/sessions" aria-label=${`pilotlight: ${word}`}><${Icon} icon=${icon} /><span aria-hidden="true">${word === "Catching up" ? "…" : word}</span></a>
    <ul>${ITEMS.map(([view, title]) => html`<li key=${view}><a class="nav-item" href=${`#/${view}`} aria-current=${here === view ? "page" : undefined}>
      <span class="pip"><${Icon} icon=${view} />${view === "attention" && count ? html`<span class="count you"><span class="sr">, waiting for you: </span>${count}</span>` : null}${view === "health" && findings.value ? html`<span class="count"><span class="sr">, findings: </span>${findings.value}</span>` : null}</span><span>${title}</span></a></li>`)}</ul>
    <div class="nav-foot"><${IconBtn} icon=${icons[theme.value]} label=${`Theme: ${theme.value}`} onClick=${() => setTheme(next)} />
      <a class="icon-btn" href="#/help" aria-label="Help and keyboard"><${Icon} icon="keyboard" /></a></div>
  </nav>`;
}

function Banner({ fit }) {
  useLayoutEffect(fit);
  if (updated.value) {
    const take = () => {
      updated.value.postMessage("take over");
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    };
    return html`<div class="banner" role="status"><${Icon} icon="refresh" size="s" /><span>A new version is here. Drafts stay.</span><button type="button" class="btn tight" onClick=${take}>Use it</button></div>`;
  }
  if (!stale.value) return null;
  const why = away.value && away.value.what === "supervisor"
    ? "The supervisor is away; your sessions go on."
    : away.value ? "pilotlight cannot be reached." : "Catching up.";
  return html`<div class="banner" role="status"><${Icon} icon="wifi-off" size="s" /><span>${why} As of ${clock(asOf.value)}, reconnecting.</span></div>`;
}

// The view makes room for it: it lies above the head and never over it.
function Edge() {
  const box = useRef(/** @type {HTMLElement} */ (null));
  const { style } = document.documentElement;
  const fit = () => style.setProperty("--edge", `${Math.ceil(box.current?.getBoundingClientRect().height || 0)}px`);
  useLayoutEffect(() => {
    const resized = new ResizeObserver(fit);
    resized.observe(box.current);
    return () => {
      resized.disconnect();
      style.removeProperty("--edge");
    };
  }, []);
  return html`<div class="edge" ref=${box}><${Banner} fit=${fit} /></div>`;
}

export function Shell({ children, bare }) {
  useLayoutEffect(() => scrollTo(0, 0), [route.value.view]); // each view begins at its head, however far down the one before was read
  useSignalEffect(() => {
    const { view, id } = route.value;
    const count = waiting.value.length;
    const title = (view === "session" && sessions.value.get(id)?.title) || { session: "Conversation", new: "New session" }[view] || ITEMS.find(([name]) => name === view)?.[1] || "pilotlight";
    document.title = `${count ? `(${count}) ` : ""}${title} · pilotlight`;
    document.body.classList.toggle("in-talk", view === "session");
  });
  const skip = (event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <div class=${`app${stale.value ? " stale" : ""}`}>${bare ? null : html`<${Nav} />`}${children}</div>
    ${loaded.value && !bare ? html`<${Edge} />` : null}
    <div class="sr" role="status" aria-live="polite">${spoken.value}</div>
    <${Notices} /><${Dialogs} />`;
}

// The head of a view that is no conversation.
// `mark`, a count or a verdict, stands at its title.
export const Bar = ({ title, sub = null, mark = null, children, back }) =>
  html`<header class="bar"><${Flame} />${back ? html`<a class="icon-btn" href=${back} aria-label="Back"><${Icon} icon="left" /></a>` : null}
    <h1>${title}</h1>${mark}${sub ? html`<span class="sub mid clip">${sub}</span>` : null}<div class="push">${children}</div></header>`;

// Every key that is a letter, a sign or a place: a view says under these names what they do there, and Help shows exactly these.
export const KEYS = {
  search: "/", goTo: "g", create: "n", help: "?", next: "j", previous: "k", select: "x", filter: "f", rename: "e", terminal: "t", extend: "+", recap: "r",
  hibernate: "z", wake: "w", allow: "a", always: "A", deny: "d", choose: "1–9", open: "o", first: "Home", last: "End",
};
const named = new Map(Object.entries(KEYS).map(([name, key]) => [key, name]));
const EVERYWHERE = { search: () => go("/search"), create: () => go("/new"), help: () => go("/help") };
export const PLACES = { s: "/sessions", a: "/attention", h: "/health", ",": "/settings" }; // behind G

const inField = (event) => event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], dialog, .xterm");
let prefix = 0;

export function keys(extra) {
  const handler = (event) => {
    if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      go("/search");
      return;
    }
    if (event.metaKey || event.ctrlKey || event.altKey || inField(event) || signedOut.value) return;
    if (settings.value && localStorage.getItem("letters") === "off") return;
    const key = event.key;
    if (Date.now() - prefix < 1500) {
      prefix = 0;
      const to = PLACES[key];
      if (to) {
        event.preventDefault();
        go(to);
        return;
      }
    }
    if (key === KEYS.goTo) prefix = Date.now();
    const name = /^[1-9]$/.test(key) ? "choose" : named.get(key);
    const act = { ...extra.value, ...EVERYWHERE }[name];
    if (act) {
      event.preventDefault();
      act(event);
    }
  };
  document.addEventListener("keydown", handler);
}

/** @type {Signal<Partial<Record<keyof typeof KEYS, (event: any) => any>>>} */
export const viewKeys = signal({}); // what the view in front adds

/** @param {Partial<Record<keyof typeof KEYS, (event: any) => any>>} map */
export function useKeys(map) {
  useEffect(() => {
    viewKeys.value = map;
    return () => (viewKeys.value = {});
  });
}
