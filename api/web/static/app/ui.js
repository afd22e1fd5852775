// Small parts that every view uses. Icons are hidden from readers; whatever acts has a name; only ending and revoking ask again.
import { Fragment, html, signal, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { notes } from "./store.js";
import { age, minute, span, stateOf } from "./words.js";

// The two scripts that a page may start beside itself; a browser that enforces Trusted Types lets no other through.
export const WORKER = "/sw.js";
export const HIGHLIGHTER = new URL("./highlighter.js", import.meta.url).pathname;
const policy = self.trustedTypes?.createPolicy("pilotlight", { createScriptURL: (url) => ([WORKER, HIGHLIGHTER].includes(url) ? url : "") });
export const trustedScript = (url) => (policy ? policy.createScriptURL(url) : url);

// What an on-screen keyboard covers, where the browser does not make the page smaller for it, as Safari does not: what fills the screen
// leaves that free, and is not pushed off it.
const seen = self.visualViewport;
seen?.addEventListener("resize", () => {
  const root = document.documentElement;
  const covered = Math.max(0, Math.round(innerHeight - seen.height * seen.scale));
  root.style.setProperty("--covered", `${covered}px`);
  if (covered && root.scrollHeight <= innerHeight) scrollTo(0, 0);
});

export const Icon = ({ icon, size = "" }) =>
  html`<svg class=${`i ${size}`} aria-hidden="true"><use href=${`#i-${icon}`} /></svg>`;

export function State({ session, fill = false, plain = false }) {
  const { word, icon, color } = stateOf(session);
  if (plain) return html`<span class=${`state s-${color}`}>${word}</span>`;
  return html`<span class=${`state s-${color}${fill ? " fill" : ""}`}><${Icon} icon=${icon} /><span class="word">${word}</span></span>`;
}

// With `bar`, the hours that a session has: a bar of what is left of them, when it is less than half.
export function Left({ session, bar = 0 }) {
  if (!session.expiresAt) return null;
  const left = session.expiresAt - minute.value;
  const part = bar ? left / (bar * 3600000) : 1;
  return html`<span class=${`left-time${session.warned ? " warned" : ""}`}>${session.warned ? html`<${Icon} icon="clock" size="s" />` : null}<span>${span(left)}<span class="sr-phone"> left</span></span></span>${part < 0.5 ? html`<svg class=${`meter ${session.warned ? "warn" : "quiet"}`} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect width=${Math.max(0, part * 100)} height="4" /></svg>` : null}`;
}

// How long ago; alone, so that the clock redraws it and not what it stands in.
export const Age = ({ at }) => html`${age(at)}`;

// A button whose label is the text; `why` says why it cannot be used now.
export function Btn({ icon, kind = "", why, onClick, children, ...rest }) {
  return html`<button type="button" class=${`btn ${kind}`} aria-disabled=${why ? "true" : undefined} title=${why}
    onClick=${why ? undefined : onClick} ...${rest}>${icon ? html`<${Icon} icon=${icon} size="s" />` : null}${children}</button>`;
}

export const IconBtn = ({ icon, label, kind = "", size = "", ...rest }) =>
  html`<button type="button" class=${`icon-btn ${kind}`} aria-label=${label} title=${label} ...${rest}><${Icon} icon=${icon} size=${size} /></button>`;

const MARGIN = 10; // between a menu and the edge of what is free

// What is in it is made when it opens: `children` is a function. A list of 200 rows has 200 menus that nobody opens.
export function Menu({ icon = "more", label, children, summary, kind = "" }) {
  const menu = useRef(null);
  const [open, setOpen] = useState(false);
  const close = () => {
    menu.current.open = false;
    menu.current.querySelector("summary").focus(); // a dialog that was opened by it gives the focus back to what has it
  };
  const leave = (event) => {
    if (event.key === "Escape" && menu.current.open) {
      event.stopPropagation();
      close();
    }
  };
  // Upwards, when below it would lie under the edge of the screen, or under the bar of a phone; where it fits on neither side it stands
  // beside its button, so that the last of it is seen.
  useLayoutEffect(() => {
    if (!open) return;
    const { classList, lastElementChild: list } = menu.current;
    classList.remove("up", "beside");
    list.style.maxHeight = list.style.marginBlockStart = "";
    const [{ top, bottom }, box] = [menu.current.getBoundingClientRect(), list.getBoundingClientRect()];
    if (box.top < top) return; // it opens upwards anyway
    const bar = document.querySelector(".nav")?.getBoundingClientRect();
    const below = (bar && bar.top > innerHeight / 2 ? bar.top : innerHeight) - bottom;
    const above = top - (document.querySelector(".bar")?.getBoundingClientRect().bottom || 0);
    if (box.height + MARGIN <= below) return;
    const beside = box.height + MARGIN > Math.max(above, below);
    classList.add(beside ? "beside" : "up");
    if (beside) list.style.marginBlockStart = `${-Math.min(bottom - top + above, box.height + MARGIN - below)}px`;
    list.style.maxHeight = `${(beside ? above + bottom - top + below : above) - MARGIN}px`;
  }, [open]);
  const shown = (now) => {
    setOpen(now);
    menu.current.closest(".row")?.classList.toggle("menu-open", now); // a row that is cut off at its edges would cut it, too
  };
  useEffect(() => {
    if (!open) return undefined;
    const outside = (event) => {
      if (menu.current && menu.current.open && !menu.current.contains(event.target)) menu.current.open = false;
    };
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);
  return html`<details class="menu" ref=${menu} onKeyDown=${leave} onToggle=${() => shown(menu.current.open)}>
    <summary class=${summary ? `btn ${kind}` : "icon-btn"} aria-label=${summary ? undefined : label} onClick=${() => shown(true)}>${summary || html`<${Icon} icon=${icon} />`}</summary>
    <div class="menu-list" onClick=${(event) => event.target.closest(".menu-item") && close()}>${open ? children() : null}</div>
  </details>`;
}

export const Item = ({ icon, why, danger, href, onClick, children }) =>
  href
    ? html`<a class="menu-item" href=${href}><${Icon} icon=${icon} />${children}</a>`
    : html`<button type="button" class=${`menu-item${danger ? " danger" : ""}`} aria-disabled=${why ? "true" : undefined} title=${why}
        onClick=${why ? undefined : onClick}><${Icon} icon=${icon} />${children}${why ? html`<small>${why}</small>` : null}</button>`;

const asking = signal(null);

// Ask once, with what would be lost; the safe choice has the focus. Resolves to whether to go on, or to `less`: what does less harm.
export const confirm = (title, text, yes, less) =>
  new Promise((resolve) => (asking.value = { title, text, yes, less, resolve }));
// Ask for a line, which was `line` before; resolves to it, or to nothing.
export const askFor = (title, line) => new Promise((resolve) => (asking.value = { title, line, yes: "Save", resolve }));

export function Dialogs() {
  const box = useRef(null);
  const field = useRef(null);
  const question = asking.value;
  useEffect(() => {
    if (question && box.current && !box.current.open) box.current.showModal();
    field.current?.select();
  }, [question]);
  if (!question) return null;
  const end = (answer) => {
    box.current.close(); // whoever opened it has the focus again
    asking.value = null;
    question.resolve(answer);
  };
  const line = question.line !== undefined;
  const done = (event) => {
    event.preventDefault();
    end(line ? field.current.value.trim() : true);
  };
  return html`<dialog class="sheet" ref=${box} aria-labelledby="dialog-h" onClose=${() => asking.value === question && end(false)}><form class="stack" onSubmit=${done}>
    <h2 id="dialog-h">${question.title}</h2>
    ${line ? html`<input class="input" ref=${field} aria-labelledby="dialog-h" dir="auto" autofocus value=${question.line} />` : html`<p class="soft" dir="auto">${question.text}</p>`}
    <div class="btns"><button type="button" class="btn" autofocus=${!line} onClick=${() => end(false)}>${line ? "Cancel" : "Keep it"}</button>
      ${question.less ? html`<button type="button" class="btn" onClick=${() => end(question.less)}>${question.less}</button>` : null}
      <button class=${`btn ${line ? "primary" : "danger"}`}>${question.yes}</button></div></form></dialog>`;
}

export const Notices = () =>
  html`<div class="toasts" role="region" aria-label="Notices">${notes.value.map((one) =>
    html`<div class=${`toast ${one.bad ? "bad" : "ok"}`} role=${one.bad ? "alert" : "status"} key=${one.id}><${Icon} icon=${one.bad ? "warn" : "check"} size="s" /><span dir="auto">${one.text}</span></div>`)}</div>`;

export const Bones = ({ rows = 4 }) =>
  html`<div class="bones" aria-busy="true"><span class="sr">Loading</span>${Array.from({ length: rows }, (_, index) => html`<div class="bone" key=${index}></div>`)}</div>`;

export function Empty({ icon, title, children }) {
  return html`<div class="empty"><${Icon} icon=${icon} size="xl" /><h2>${title}</h2>${children}</div>`;
}

export const Meter = ({ part, label, tall = true }) =>
  html`<svg class=${`meter${tall ? " tall" : ""}${part > 0.9 ? " high" : ""}`} viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label=${label}><rect width=${Math.min(100, Math.round(part * 100))} height="4" /></svg>`;

export { Fragment };
