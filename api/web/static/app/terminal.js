// A session's terminal, on a page of its own (xterm.js writes style elements). Looking never resizes and types nothing; with the
// keyboard the session takes this screen's size. It survives restarts of both processes: the last screen stays, with the time.
import { html, render, signal, useEffect, useRef } from "../vendor/preact.js";
import { Terminal } from "../vendor/xterm.js";
import { FitAddon } from "../vendor/xterm-fit.js";
import { Unicode11Addon } from "../vendor/xterm-unicode.js";
import { get, signedOut } from "./api.js";
import { may, me, notes } from "./store.js";
import { Btn, confirm, Dialogs, Icon, Menu, Item, Notices, State } from "./ui.js";
import { clock, titleOf } from "./words.js";

const id = location.hash.slice(1);
/** @type {Signal<Session | null>} */
const session = signal(null);
const link = signal("connecting"); // connecting, open, away
const since = signal(Date.now());
const writer = signal(null);
const mine = signal(false);
const size = signal(null);
const cropped = signal(false);

const font = signal(Number(localStorage.getItem("terminal-size")) || 14);
const ctrl = signal(false);
const coarse = matchMedia("(pointer: coarse)").matches;

let socket = null;
let pause = 500;
let wantsKeys = false;
let drawing = false;
let term = null;
let fit = null;

const say = (message) => socket && socket.readyState === WebSocket.OPEN && socket.send(JSON.stringify(message));

function connect() {
  if (socket) {
    socket.onclose = null;
    socket.close();
  }
  const wanted = wantsKeys && fit ? fit.proposeDimensions() : null;
  const query = wantsKeys ? `mode=write&cols=${wanted?.cols || 80}&rows=${wanted?.rows || 24}` : "mode=read";
  const made = (socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/sessions/${id}/terminal?${query}`));
  made.binaryType = "arraybuffer";
  made.onopen = () => {
    pause = 500;
    link.value = "open";
  };
  made.onmessage = ({ data }) => (typeof data === "string" ? hear(JSON.parse(data)) : draw(new Uint8Array(data)));
  made.onclose = () => {
    if (link.value === "open") since.value = Date.now();
    link.value = "away";
    mine.value = false;
    get("/api/me", { patience: 5000 }).catch(() => {});
    setTimeout(connect, pause);
    pause = Math.min(15000, pause * 2);
  };
}

function hear(said) {
  if (said.type === "snapshot") {
    drawing = true;
    size.value = { cols: said.cols, rows: said.rows };
    cropped.value = Boolean(said.cropped);
    term.resize(said.cols, said.rows);
    scale();
  } else if (said.type === "welcome") {
    writer.value = said.writer;
    mine.value = Boolean(said.you) && wantsKeys;
    link.value = said.live === false ? "no process" : "open";
    look();
  } else if (said.type === "writer") {
    writer.value = said.writer;
    mine.value = Boolean(said.you) && wantsKeys;
  } else if (said.type === "state") look();
  else if (said.type === "away") {
    since.value = Date.now();
    link.value = "away";
  } else if (said.type === "error") tell(said);
}

function tell(said) {
  const text = said.message || said.error || said.code;
  notes.value = [...notes.value.slice(-1), { id: Date.now(), text, bad: true }];
  setTimeout(() => (notes.value = notes.value.slice(1)), 5000);
  if (said.code === "not_writer") mine.value = false;
}

function draw(bytes) {
  if (drawing) term.reset();
  drawing = false;
  term.write(bytes);
}

async function look() {
  try {
    session.value = (await get(`/api/sessions/${id}`)).session;
    document.title = `${titleOf(session.value)} · Terminal`;
  } catch {
    // the socket says what is the matter
  }
}

// Looked at, the whole screen is shown, scaled to the width, as far as it can be read so: on a phone the left part of it. Typed into,
// the session has our size.
const SMALLER = 4;
function scale() {
  const box = term.element?.parentElement;
  if (!box || !size.value) return;
  term.options.fontSize = font.value;
  if (mine.value) return;
  const wide = term.element.querySelector(".xterm-screen")?.offsetWidth || 1;
  const edge = getComputedStyle(term.element);
  const room = box.clientWidth - parseFloat(edge.paddingLeft) - parseFloat(edge.paddingRight);
  if (wide > room) term.options.fontSize = Math.max(font.value - SMALLER, Math.floor((font.value * room) / wide));
}

async function take() {
  const other = writer.value && !mine.value;
  if (other && !(await confirm("Take the keyboard over?", `${writer.value} has it, and will be told.`, "Take it over"))) return;
  wantsKeys = true;
  connect();
  if (other) socket.addEventListener("open", () => say({ type: "steal" }), { once: true });
  term.options.disableStdin = false;
  term.focus();
}

function giveUp() {
  say({ type: "release" });
  wantsKeys = false;
  mine.value = false;
  term.options.disableStdin = true;
  connect();
}

function type(text) {
  if (!mine.value) return;
  let out = text;
  if (ctrl.value && text.length === 1) {
    out = String.fromCharCode(text.toUpperCase().charCodeAt(0) & 31);
    ctrl.value = false;
  }
  say({ type: "input", data: out });
}

function resized() {
  if (mine.value && fit) {
    const wanted = fit.proposeDimensions();
    if (wanted) say({ type: "resize", cols: wanted.cols, rows: wanted.rows });
  } else scale();
}

function setFont(step) {
  font.value = Math.min(28, Math.max(8, font.value + step));
  localStorage.setItem("terminal-size", String(font.value));
  scale();
  resized();
}

function Screen() {
  const box = useRef(null);
  useEffect(() => {
    const mono = getComputedStyle(document.documentElement).getPropertyValue("--mono");
    term = new Terminal({ fontFamily: mono, fontSize: font.value, disableStdin: true, scrollback: 5000, allowProposedApi: true, screenReaderMode: false, theme: { background: "#0b0d10", foreground: "#d7dce4", cursor: "#ffb83d" } });
    fit = new FitAddon();
    term.loadAddon(fit);
    term.loadAddon(new Unicode11Addon());
    term.unicode.activeVersion = "11";
    term.open(box.current);
    term.onData(type);
    let armed = 0; // Ctrl ] then D gives the keyboard up; every other key goes to the session
    term.attachCustomKeyEventHandler((event) => {
      if (event.type !== "keydown") return true;
      if (event.ctrlKey && event.key === "]") {
        armed = Date.now();
        return false;
      }
      if (armed && Date.now() - armed < 2000 && event.key.toLowerCase() === "d") {
        armed = 0;
        giveUp();
        return false;
      }
      armed = 0;
      return true;
    });
    new ResizeObserver(resized).observe(box.current);
    connect();
  }, []);
  return html`<div class=${`term${link.value === "away" ? " dim" : ""}`} ref=${box} role="group" aria-label="Terminal of the session; the conversation view has the same words for a screen reader"></div>`;
}

/** @type {[string, string | null][]} */
const KEYS = [["Esc", "\u001b"], ["Tab", "\t"], ["Ctrl", null], ["⇧Tab", "\u001b[Z"], ["←", "\u001b[D"], ["↑", "\u001b[A"], ["↓", "\u001b[B"], ["→", "\u001b[C"]];
/** @type {[string, string][]} */
const WITH_CTRL = [["C", "C"], ["D", "D"], ["L", "L"], ["R", "R"]]; // in the place of the arrows while Ctrl is down

function KeyBar() {
  if (!mine.value || !coarse) return null;
  const press = (event, text) => {
    event.preventDefault(); // the keyboard of the phone stays
    if (text === null) ctrl.value = !ctrl.value;
    else type(text);
  };
  const keys = ctrl.value ? [...KEYS.slice(0, 4), ...WITH_CTRL] : KEYS;
  return html`<div class="keybar typing" role="toolbar" aria-label="Keys">${keys.map(([name, text]) => html`<button type="button" class="key" key=${name} aria-pressed=${text === null ? (ctrl.value ? "true" : "false") : undefined} onPointerDown=${(event) => press(event, text)}>${name}</button>`)}</div>`;
}

function Note() {
  if (link.value === "away" || link.value === "connecting") {
    return html`<div class="term-note" role="status"><${Icon} icon="wifi-off" /><span class="clip"><b>${link.value === "away" ? "Away." : "Connecting."}</b> ${link.value === "away" ? `This is the screen of ${clock(since.value)}; the session goes on.` : ""}</span></div>`;
  }
  if (link.value === "no process") return html`<div class="term-note" role="status"><${Icon} icon="hibernated" /><span class="clip"><b>No process.</b> Looking does not wake it.</span></div>`;
  if (mine.value) return html`<div class="term-note" role="status"><${Icon} icon="keyboard" /><span class="clip"><b>You have the keyboard.</b> <span class="mid">Messages wait while a draft is in the box.</span></span><${Btn} kind="tight" onClick=${giveUp}>Give it up</${Btn}></div>`;
  const why = may("admin") ? undefined : "needs admin";
  return html`<div class="term-note" role="status"><${Icon} icon="eye" /><span class="clip"><b>${writer.value ? `${writer.value} types.` : "You are looking."}</b> <span class="mid">Keys go nowhere.</span></span><${Btn} icon="keyboard" kind="tight" why=${why} onClick=${take}>${writer.value ? "Take it over" : "Take the keyboard"}</${Btn}></div>`;
}

function Page() {
  const one = session.value;
  if (signedOut.value) {
    location.href = `/#/session/${id}`; // the door stands before it
    return null;
  }
  return html`<div class="app"><main id="main" class="term-page" tabindex="-1">
    <header class="talk-bar"><a class="icon-btn" href=${`/#/session/${id}`} aria-label="Back to the conversation"><${Icon} icon="left" /></a>
      <div class="who"><h1 class="clip" dir="auto">${one ? titleOf(one) : "Terminal"}</h1><div class="line">${one ? html`<${State} session=${one} /><span class="dot"></span>` : null}${size.value ? html`<span class="num">${size.value.cols} × ${size.value.rows}${mine.value ? ", your size" : ""}</span>` : null}</div></div>
      <button type="button" class="icon-btn mid" aria-label="A−, smaller text" onClick=${() => setFont(-1)}>A−</button><button type="button" class="icon-btn mid" aria-label="A+, larger text" onClick=${() => setFont(1)}>A+</button>
      <${Menu} label="More">${() => html`<${Item} icon="refresh" onClick=${() => say({ type: "snapshot" })}>Draw again</${Item}><${Item} icon="arrow-up" onClick=${() => setFont(1)}>Larger text</${Item}><${Item} icon="arrow-down" onClick=${() => setFont(-1)}>Smaller text</${Item}>`}</${Menu}></header>
    <${Note} /><${Screen} /><${KeyBar} /></main></div><${Notices} /><${Dialogs} />`;
}

async function start() {
  try {
    me.value = await get("/api/me");
    await look();
  } catch (error) {
    if (error.status !== 401) setTimeout(start, 2000);
  }
}

render(html`<${Page} />`, document.getElementById("app"));
start();
