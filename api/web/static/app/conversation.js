// One conversation: what was said, what is being said, and what waits. At the bottom the view follows; scrolled up it stays where
// the reader is, whatever is added above or below. An entry that has not changed is not drawn again.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { call, put as send } from "./api.js";
import { Card } from "./attention.js";
import { Composer, formOf } from "./compose.js";
import { Copy } from "./copy.js";
import { beside, Facts } from "./facts.js";
import { Markdown } from "./markdown.js";
import { Doing, extend, fork, keysOf, reopen, SessionMenu } from "./sessions.js";
import { go, route, useKeys } from "./shell.js";
import { attempt, doing, hindrance, loaded, may, note, sessions, speak, waiting } from "./store.js";
import { Talk } from "./talk.js";
import { Fold, Work } from "./tools.js";
import { Bones, Btn, Empty, Icon, Item, Left, State } from "./ui.js";
import { age, clock, dayOf, exactly, shorten, shortPath, span, stateOf, STEPS, titleOf, visible } from "./words.js";

const NEAR = 80;
const AWAY_MS = 300000; // who was gone for less than this has been there
const SEEN_PAUSE_MS = 1000;
const FOUND_MS = 2000;
const SPEAK_MS = 1000; // a turn that is over sooner is told by its answer alone
const RECAP = "Please provide a brief summary of our conversation so far."; // how pilotlight asks for one
// What has failed, once more with its files; a second click on it is the same message.
/** @param {Session} session @param {Talk} talk @param {Schema<"MessageView">} message */
const again = (session, talk, message) => attempt(async () => {
  const files = await Promise.all((message.attachments || []).map(async (/** @type {any} */ file, at) => {
    const kept = await fetch(`/api/messages/${message.id}/attachments/${at}`);
    if (!kept.ok) throw new Error(`${visible(file.name)} is not there any more, so nothing was sent.`);
    return new File([await kept.blob()], file.name, { type: file.mimeType });
  }));
  const answer = await call("POST", `/api/sessions/${session.id}/messages`, formOf({ message: message.text, wait: 0 }, files), { key: `again.${message.id}`, patience: 120000 });
  talk.follow = true;
  await talk.fetch(answer.messageId);
});
// Why Claude's service has not answered, by the CLI's name for it.
const ERRORS = { rate_limit: "The usage limit was reached.", overloaded: "Claude’s service was overloaded.", server_error: "Claude’s service was out of order.", authentication_failed: "Claude’s service did not accept the login.", billing_error: "Claude’s service asks for payment.", model_not_found: "There is no such model, or it is not yours to use.", oauth_org_not_allowed: "This organisation may not use Claude here.", account_on_hold: "The account is on hold.", verification_required: "The account has to be verified first.", cloud_credential_error: "The cloud’s credentials were not accepted.", invalid_request: "Claude’s service did not accept what it was sent.", max_output_tokens: "The answer was too long.", unknown: "Claude’s service did not answer." };
const TOLD = ["hibernated", "ended", "unknown"]; // states that nobody would hear of otherwise
const drawn = new WeakMap();

/** @param {{message: Schema<"MessageView">, id: string, again?: unknown}} given */
function Receipt({ message, id, again }) {
  const state = message.state;
  const steps = Object.entries(message.steps || {}).sort(([, a], [, b]) => a - b);
  const first = steps.length ? steps[0][1] : 0;
  const last = steps.length ? steps[steps.length - 1][1] : message.createdAt;
  return html`<${Fold} ids=${[id]} kind=${`receipt ${state}${state === "answered" ? "" : " say"}`} summary=${html`<${Icon} icon=${state} /><span class="word">${STEPS[state]}</span> <time>${clock(last)}</time><span class="sr">, show every step</span>`}>
    <ol class="trail">${steps.map(([name, at], index) => html`<li key=${name}><${Icon} icon=${name === "replied" ? "answered" : name} size="s" />${STEPS[name] || name} <time>${index ? `+${((at - first) / 1000).toFixed(at - first < 10000 ? 3 : 0)} s` : exactly(at)}</time></li>`)}${again ? html`<li>${again}</li>` : null}</ol></${Fold}>`;
}

// A file that was sent, to look at again: pictures small, everything as a download.
function SentFile({ file, at, id }) {
  const href = id ? `/api/messages/${id}/attachments/${at}` : undefined;
  const picture = href && /^image\/(png|jpeg|gif|webp)$/.test(file.mimeType || "");
  return html`<a class="att" href=${href} download=${file.name}>${picture ? html`<img class="thumb" src=${href} alt="" loading="lazy" />` : html`<${Icon} icon="file" size="s" />`}<span class="clip" dir="auto">${visible(file.name)}</span></a>`;
}

function Mine({ text, files, message, id, again, branch }) {
  const error = message && message.error;
  return html`<div class="me"><div class="bubble" dir="auto">${text}${(files || []).length ? html`<span class="atts">${files.map((file, at) => html`<${SentFile} file=${file} at=${at} id=${id || message?.id} key=${file.name} />`)}</span>` : null}</div>
    ${message ? html`<${Receipt} message=${message} id=${id || message.id} again=${branch} />` : branch}
    ${error ? html`<div class="note bad" role="alert"><span><${Icon} icon="failed" size="s" /></span><p>${error.message}</p>${again ? html`<${Btn} kind="tight" onClick=${again}>Send again</${Btn}>` : null}</div>` : null}</div>`;
}

// What nobody has written: that a recap was asked for.
const Recap = ({ id, at }) => html`<p class="aside small muted recap" data-entry=${id}><${Icon} icon="recap" size="s" /> Recap${at ? html` · <time title=${exactly(at)}>${clock(at)}</time>` : null}</p>`;

// A message of ours that is in the history: its receipt is asked for when somebody wants to know, and for the last few at once.
function Sent({ entry, talk, late, answered, session }) {
  const known = talk.receipts.value.get(entry.messageId);
  const want = () => known || talk.fetch(entry.messageId);
  useEffect(() => {
    if (late && entry.messageId) want();
  }, []);
  const guess = { state: answered ? "answered" : "submitted", steps: entry.at ? { submitted: entry.at } : {}, createdAt: entry.at || 0 };
  const branch = may("chat") ? html`<button type="button" class="link tiny" onClick=${() => fork(session, entry)}>Fork from before it</button>` : null;
  return html`<div data-entry=${entry.id} onPointerEnter=${entry.messageId ? want : undefined} onFocusIn=${entry.messageId ? want : undefined}><${Mine} text=${entry.text} files=${entry.attachments} id=${entry.messageId} message=${entry.messageId ? known || guess : null} again=${known?.state === "failed" ? () => again(session, talk, known) : null} branch=${branch} /></div>`;
}

function Entry(entry) {
  if (entry.role === "command" || entry.role === "system") {
    return html`<div class="aside small muted" data-entry=${entry.id}><code dir="auto">${entry.text}</code>${entry.output ? html`<pre class="small" tabindex="0" dir="auto">${entry.output}</pre>` : null}</div>`;
  }
  const usage = entry.usage || {};
  const count = (value) => (value >= 1000 ? `${(value / 1000).toFixed(1)}k` : value);
  return html`<div class="turn" data-entry=${entry.id}>
    ${entry.text ? html`<div class="claude prose"><${Markdown} text=${entry.text} />
      <div class="stamp">${entry.at ? html`<time title=${exactly(entry.at)}>${clock(entry.at)}</time>` : null}${entry.model ? html`<span class="dot"></span><span>${shorten(entry.model, 40)}</span>` : null}${usage.outputTokens || usage.output_tokens ? html`<span class="dot mid"></span><span class="num mid">${count(usage.outputTokens || usage.output_tokens)} tokens out</span>` : null}<${Copy} text=${entry.text} label="Copy this answer" /></div></div>` : null}
    ${entry.error ? html`<div class="note bad"><span><${Icon} icon="failed" size="s" /></span><p>${ERRORS[entry.error] || entry.error.replaceAll("_", " ")}</p></div>` : null}
    ${(entry.toolCalls || []).length ? html`<${Work} calls=${entry.toolCalls} />` : null}
    ${entry.truncated ? html`<p class="tiny muted">Cut: the export has the whole.</p>` : null}</div>`;
}

function vnodeOf(entry) {
  if (!drawn.has(entry)) drawn.set(entry, html`<${Entry} ...${entry} key=${entry.id} />`);
  return drawn.get(entry);
}

function Live({ talk, busy }) {
  const items = talk.live.value;
  const last = items.length - 1;
  return html`${items.map((item, index) => item.type === "tool"
    ? html`<${Work} calls=${[item.call]} key=${item.call.id} />`
    : html`<div class="claude prose" aria-busy=${busy && index === last ? "true" : undefined} key=${item.id}><${Markdown} text=${item.parts.join("")} />${busy && index === last ? html`<span class="caret" aria-hidden="true"></span>` : null}</div>`)}`;
}

// The first entry that is seen from its beginning.
function placeOf(flow) {
  const { top } = flow.getBoundingClientRect();
  const entry = [...flow.querySelectorAll("[data-entry]")].find((one) => one.getBoundingClientRect().top >= top);
  return entry ? { entry, top: entry.getBoundingClientRect().top } : null;
}

/** @param {{talk: Talk, session: Session}} given */
function Flow({ talk, session }) {
  const box = useRef(null);
  const [fresh, setFresh] = useState(0);
  const head = useRef(/** @type {string | undefined} */ (undefined)); // the first entry that was drawn
  const place = useRef(null);
  const read = useRef(/** @type {string | undefined} */ (undefined)); // the last entry that was seen at the end
  const top = useRef(0); // where it was scrolled to before
  const [since] = useState(session.seenAt); // what was seen before this visit
  const [opened] = useState(Date.now());
  const entries = talk.entries.value;
  const version = talk.version.value;
  const busy = session.state === "busy";
  // Entries come above what is read: where that lies is measured before they are drawn, since their heights are not known and change.
  if (box.current && head.current !== entries[0]?.id && talk.follow === false) place.current = placeOf(box.current);
  const atEnd = () => box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight < NEAR;
  const toEnd = () => {
    box.current.scrollTop = box.current.scrollHeight;
    top.current = box.current.scrollTop;
  };
  const jump = () => {
    toEnd();
    talk.follow = true;
    read.current = entries.at(-1)?.id;
    setFresh(0);
  };
  const begin = () => {
    box.current.scrollTop = 0;
    talk.follow = atEnd();
  };
  const scrolled = () => {
    if (!box.current) return; // the view was left while it scrolled
    const up = box.current.scrollTop < top.current;
    top.current = box.current.scrollTop;
    talk.follow = atEnd() || (talk.follow !== false && !up); // what grows below while the end is gone to takes nobody away from it
    if (talk.follow) setFresh(0);
    if (talk.follow) read.current = entries.at(-1)?.id;
    if (box.current.scrollTop < 400 && talk.next.value) talk.earlier();
  };
  useLayoutEffect(() => {
    if (talk.follow !== false) jump();
    else {
      read.current ??= entries.at(-1)?.id;
      const at = entries.findLastIndex((entry) => entry.id === read.current);
      setFresh(at < 0 ? 0 : entries.length - 1 - at + (talk.live.value.length ? 1 : 0));
    }
  }, [version, talk.ready.value]);
  useLayoutEffect(() => {
    if (place.current?.entry.isConnected) box.current.scrollTop += place.current.entry.getBoundingClientRect().top - place.current.top;
    place.current = null;
    head.current = entries[0]?.id;
  }, [entries[0]?.id]);
  useEffect(() => {
    const grown = new ResizeObserver(() => talk.follow !== false && box.current && toEnd());
    grown.observe(box.current);
    grown.observe(box.current.firstElementChild);
    return () => grown.disconnect();
  }, []);
  const target = route.value.rest[0];
  useEffect(() => {
    if (!target || !talk.ready.value) return undefined;
    let here = true;
    talk.follow = false;
    talk.find(target).then((found) => {
      if (!here) return;
      if (!found) note("That is not in what can be shown of this conversation any more.", true);
      requestAnimationFrame(() => {
        const entry = box.current?.querySelector(`[data-entry="${CSS.escape(target)}"]`);
        entry?.scrollIntoView({ block: "center" });
        entry?.classList.add("found");
        setTimeout(() => entry?.classList.remove("found"), FOUND_MS);
      });
    });
    return () => (here = false);
  }, [target, talk.ready.value]);
  const newest = session.lastWords?.at || 0;
  useEffect(() => {
    if (!talk.ready.value || newest <= session.seenAt || document.visibilityState !== "visible" || talk.follow === false) return undefined;
    const timer = setTimeout(() => send(`/api/sessions/${session.id}/seen`, { at: newest }).catch(() => {}), SEEN_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [newest, session.seenAt, version, talk.ready.value]);
  useKeys({ last: jump, first: begin, ...keysOf(() => session) });
  const known = new Set(entries.map((entry) => entry.messageId).filter(Boolean));
  const mine = [...talk.receipts.value.values()].filter((one) => one.state !== "queued" && one.state !== "cancelled" && one.kind !== "command" && !known.has(one.id));
  let day = "";
  const rows = [];
  const away = since && opened - since > AWAY_MS && entries.find((entry) => entry.at > since && entry.at < opened && entry.role === "assistant");
  entries.forEach((entry, at) => {
    const of = entry.at ? dayOf(entry.at) : day;
    if (of && of !== day) rows.push(html`<p class="day" key=${`day-${entry.id}`}>${of}</p>`);
    day = of;
    if (entry === away) rows.push(html`<p class="away-line" key="away"><span>While you were away · ${span(opened - since)}</span></p>`);
    if (entry.role === "user" && entry.text === RECAP) rows.push(html`<${Recap} key=${entry.id} id=${entry.id} at=${entry.at} />`);
    else rows.push(entry.role === "user" ? html`<${Sent} key=${entry.id} entry=${entry} talk=${talk} late=${at >= entries.length - 6} answered=${entries[at + 1]?.role === "assistant"} session=${session} />` : vnodeOf(entry));
  });
  return html`<div class="flow" ref=${box} tabindex="0" role="log" aria-label="Conversation" aria-live="off" onScroll=${scrolled}><div class="inner">
      ${talk.next.value ? html`<${Btn} kind="quiet tight" onClick=${() => talk.earlier()}>Earlier</${Btn}>` : null}
      ${talk.failed.value ? html`<div class="note bad" role="alert"><p>${talk.failed.value}</p><${Btn} kind="tight" onClick=${() => talk.load()}>Try again</${Btn}></div>` : null}
      ${!talk.ready.value && !talk.failed.value ? html`<${Bones} rows=${3} />` : null}
      ${talk.ready.value && !rows.length && !mine.length && !talk.live.value.length ? html`<${Empty} icon="chat" title="Nothing said yet"><p class="soft">Claude is in ${shortPath(session.projectPath)} and listens.</p></${Empty}>` : null}
      ${rows}
      ${mine.map((message) => message.text === RECAP && !message.error ? html`<${Recap} key=${message.id} at=${message.createdAt} />` : html`<${Mine} key=${message.id} text=${message.text} files=${message.attachments} message=${message} again=${message.state === "failed" ? () => again(session, talk, message) : null} />`)}
      <${Live} talk=${talk} busy=${busy} />
      ${busy && !talk.live.value.length ? html`<p class="muted small working" aria-hidden="true"><${Icon} icon="busy" size="s" /> Claude works</p>` : null}
    </div></div>
    ${fresh ? html`<div class="jump-now"><${Btn} icon="arrow-down" kind="tight" onClick=${jump}>${fresh} new</${Btn}></div>` : null}`;
}

/** @returns {[string, Session[]][]} */
function listed() {
  const all = [...sessions.value.values()].filter((one) => one.state !== "ended").sort((a, b) => b.lastActivity - a.lastActivity);
  return [["Waits for you", waiting.value], ["Live", all.filter((one) => !one.waiting && one.state !== "hibernated")], ["Hibernated", all.filter((one) => one.state === "hibernated")]];
}

/** @param {{current: string}} given */
function List({ current }) {
  const parts = listed();
  return html`<aside class="pane-list" aria-label="Sessions"><div class="head"><a class="btn grow" href="#/search"><${Icon} icon="search" size="s" />Search</a><a class="icon-btn" href="#/new" aria-label="New session"><${Icon} icon="plus" /></a></div>
    <div class="scroll">${parts.map(([title, list]) => list.length ? html`<p class="pane-label" key=${title}>${title}</p>${list.slice(0, 40).map((one) => {
      const { word, icon, color } = stateOf(one);
      return html`<a class="mini" key=${one.id} href=${`#/session/${one.id}`} aria-current=${one.id === current ? "true" : undefined}><span class=${`s-${color} state`}><${Icon} icon=${icon} size="s" /><span class="sr">${word}</span></span><span class="t clip" dir="auto">${titleOf(one)}</span><time>${age(one.lastActivity)}</time><span class="w clip" dir="auto">${one.lastWords?.text || shortPath(one.projectPath)}</span></a>`;
    })}` : null)}</div></aside>`;
}

// The one before or after this in the list beside it.
function next(id, step) {
  const list = listed().flatMap(([, part]) => part);
  const to = list[list.findIndex((one) => one.id === id) + step];
  if (to) go(`/session/${to.id}`);
}

// What a screen reader is told of it: that Claude begins, and the first sentence of what it has said; never more than that at a time.
/** @param {Session | undefined} session */
function useSpoken(session) {
  const before = useRef(0); // of the turn under way: when the words before it were said
  const state = session?.state, said = session?.lastWords;
  useEffect(() => {
    if (state !== "busy") return undefined;
    before.current ||= said?.at || 1;
    const timer = setTimeout(() => speak("Claude is answering"), SPEAK_MS);
    return () => clearTimeout(timer);
  }, [state]);
  useEffect(() => {
    if (!before.current || ["busy", "waiting"].includes(state) || said?.role !== "assistant" || said.at <= before.current) return;
    before.current = 0;
    speak(said.text.replace(/[*_`#>]/g, "").trim().split(/(?<=[.!?。！？])\s|\n/)[0], "said");
  }, [state, said?.at]);
  const known = useRef(state);
  useEffect(() => {
    if (known.current && state !== known.current && TOLD.includes(state)) speak(stateOf(session).word);
    known.current = state;
    return () => speak(""); // what was not said of it yet is over
  }, [state]);
}

export default function Conversation({ id }) {
  const [talk, setTalk] = useState(null);
  const [about, setAbout] = useState(false);
  useLayoutEffect(() => {
    const key = (event) => {
      const step = event.altKey && { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!step || event.defaultPrevented) return;
      event.preventDefault();
      next(id, step);
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, [id]);
  useEffect(() => {
    const made = new Talk(id);
    setTalk(made);
    return () => made.close();
  }, [id]);
  const session = sessions.value.get(id);
  useSpoken(session);
  if (!session) {
    return html`<main id="main" tabindex="-1">${loaded.value ? html`<${Empty} icon="lost" title="There is no such session"><a class="btn" href="#/sessions">All sessions</a></${Empty}>` : html`<${Bones} />`}</main>`;
  }
  if (!talk || talk.id !== id) return html`<main id="main" class="talk" tabindex="-1"></main>`;
  const ended = session.state === "ended";
  const more = html`${beside.value ? null : html`<${Item} icon="info" onClick=${() => setAbout(!about)}>About this session</${Item}>`}<${Item} icon="search" href=${`#/search/${id}`}>Search in it</${Item}><${Item} icon="download" href=${`/api/sessions/${id}/export`}>Export as Markdown</${Item}><hr />`;
  return html`<main id="main" class=${`talk${about && !beside.value ? " about" : ""}`} tabindex="-1">
    <${List} current=${id} />
    <header class="talk-bar"><a class="icon-btn phone" href="#/sessions" aria-label="Back to sessions"><${Icon} icon="left" /></a>
      <div class="who"><h1 class="clip" dir="auto" title=${titleOf(session)}>${titleOf(session)}</h1><div class="line"><${State} session=${session} />${doing.value[id] ? html`<span class="dot"></span><${Doing} id=${id} kind="clip" />` : null}<span class="dot mid"></span><span class="mid path clip">${shortPath(session.projectPath)}</span>${session.expiresAt ? html`<span class="dot"></span><${Left} session=${session} />` : null}</div></div>
      ${ended ? null : html`<${Btn} icon="extend" kind="tight mid" why=${hindrance("chat")} onClick=${() => extend(session)}>Extend</${Btn}>`}
      <a class="icon-btn" href=${`/terminal#${id}`} aria-label="Terminal"><${Icon} icon="terminal" /></a><${SessionMenu} one=${session} more=${more} /></header>
    <${Flow} talk=${talk} session=${session} />
    <div class="dock"><div class="inner">
      ${session.waiting ? html`<${Card} session=${session} now />` : null}
      ${ended ? html`<div class="note"><span><${Icon} icon=${stateOf(session).icon} size="s" /></span><p><b>${stateOf(session).word}.</b> ${session.endDetail || ""} The conversation is kept.</p><${Btn} kind="tight" why=${hindrance("chat")} onClick=${() => reopen(session).then(() => talk.settle())}>Reopen</${Btn}></div>` : html`<${Composer} session=${session} talk=${talk} key=${id} />`}
    </div></div>
    ${beside.value || about ? html`<${Facts} session=${session} talk=${talk} close=${beside.value ? null : () => setAbout(false)} />` : null}</main>`;
}
