// One card, one decision. Everything that would be done is visible before its button lives; an answer names what it is for
// (`waitingId`), so a late one is refused and says so, and a card that was answered elsewhere turns to its result in place.
import { html, signal, useEffect, useRef, useState } from "../vendor/preact.js";
import { post } from "./api.js";
import { Markdown } from "./markdown.js";
import { Bar, go, useKeys } from "./shell.js";
import { attempt, hindrance, listeners, live, me, put, sessions, waiting } from "./store.js";
import { Btn, Empty, Icon, State } from "./ui.js";
import { actorOf, age, askedOf, asker, clock, COMMAND_KEY, countdown, givenWord, many, minute, MODES, shortPath, stateOf, titleOf, visible, waitingMessages, when } from "./words.js";
import { Input } from "./tools.js";

const STANDS_MS = 500;
const gone = signal({}); // waiting id -> what became of it

const CAUSES = { terminal: "Answered at the terminal", interrupted: "Interrupted", time: "It is over by itself", claude: "Claude has decided it itself: nobody answered in time", killed: "The session was ended", expired: "The session has expired", crashed: "Its process died" };
const WORDS = { allow: "Allow once", always: "Allow always", deny: "Deny" };

function told(id, text) {
  gone.value = { ...gone.value, [id]: { text, at: Date.now() } };
}

listeners.add((event) => {
  if (event.kind === "answered") {
    const { id, by } = event.data;
    if (id && !gone.value[id]) told(id, `${givenWord(event.data)} by ${actorOf(by, me.value)}, just now`);
  }
  if (event.kind === "expired") {
    const { id, cause } = event.data;
    if (id && !gone.value[id]) told(id, CAUSES[cause] || "Not asked any more");
  }
});

// What a late answer is told: who was first, and with what.
const first = ({ data, message }) => (data.answeredBy ? `${givenWord(data)} by ${actorOf(data.answeredBy, me.value)} already${data.answeredAt ? `, at ${clock(data.answeredAt)}` : ""}` : data.cause ? CAUSES[data.cause] || "Not asked any more" : message);

export async function give(session, body, said) {
  const asked = session.waiting;
  try {
    const answer = await post(`/api/sessions/${session.id}/answer`, { waitingId: asked.id, ...body }, { patience: 60000 });
    told(asked.id, said);
    put(answer.session);
    return true;
  } catch (error) {
    if (error.status === 409) told(asked.id, first(error));
    else await attempt(() => Promise.reject(error));
    return false;
  }
}

// A card takes no key and no tap until it has stood still for half a second.
function useStanding(id) {
  const [ready, setReady] = useState(false);
  useEffect(() => {
    setReady(false);
    const timer = setTimeout(() => setReady(true), STANDS_MS);
    return () => clearTimeout(timer);
  }, [id]);
  return ready;
}

const waitedFor = (asked) => {
  const said = age(asked.since || minute.value);
  return said === "now" ? "since just now" : `for ${said}`;
};

// `allow addRules Bash(git push *) (localSettings)`, as the CLI offers it, in words: exactly the rule, and where it is kept. A mode has
// the name that it has everywhere here.
function ruleOf(choice) {
  return (choice.description || choice.label).split("; ").map((given, at) => {
    const text = given.replace(/^permission mode (\w+),/, (whole, mode) => (MODES[mode] ? `“${MODES[mode]}”` : whole));
    const found = /^allow (.+), (in this .+|everywhere)$/.exec(text);
    return html`${at ? html`<span class="small muted">; </span>` : null}${found ? html`<code>${found[1]}</code><span class="small muted"> ${found[2]}</span>` : text}`;
  });
}

const KINDS = {
  permission: (asked) => `${asker(asked)} wants to ${asked.tool === "Bash" ? "run a command" : ["Edit", "Write", "MultiEdit"].includes(asked.tool) ? "change a file" : `use ${asked.tool || "a tool"}`}`,
  question: (asked) => (asked.questions?.length > 1 ? `${asked.questions.length} decisions are yours` : "A decision is yours"),
  plan: (asked) => `${asker(asked)} has a plan and asks to proceed`,
  elicitation: (asked) => asked.title,
  trust: (asked) => askedOf(asked, ""),
  login: (asked) => asked.title || "Claude is not logged in",
  setup: (asked) => asked.title || "Claude needs setup",
  rate_limit: (asked) => asked.title || "The usage limit is reached",
  peer: () => "Another session has sent a message",
  dialog: () => "A dialog that pilotlight does not know",
};

/** @param {{session: Session, now?: boolean}} given */
export function Card({ session, now }) {
  const asked = session.waiting;
  const ready = useStanding(asked.id);
  const [busy, setBusy] = useState(false);
  const done = gone.value[asked.id];
  if (done) {
    return html`<article class="ask gone" id=${`ask-${session.id}`}><header><${Icon} icon="check" size="s" /><span>${done.text}</span><span class="where"><span class="clip" dir="auto">${titleOf(session)}</span></span></header></article>`;
  }
  const why = hindrance("answer") || (!ready || busy ? "one moment" : undefined);
  const answer = async (body, said) => {
    setBusy(true);
    const card = document.getElementById(`ask-${session.id}`);
    const given = await give(session, body, said);
    setBusy(false);
    if (given) requestAnimationFrame(() => onward(card));
  };
  const Form = isPause(asked) ? Pause : isHandedQuestion(asked) ? Choices : { permission: Permission, question: Questions, plan: Plan, elicitation: Fields }[asked.for] || Choices;
  const title = (KINDS[asked.for] || KINDS.dialog)(asked);
  return html`<article class=${`ask${now ? " now" : ""}`} id=${`ask-${session.id}`} data-waiting=${asked.id} tabindex="-1" aria-labelledby=${`t-${asked.id}`}>
    <header><${State} session=${session} fill /><time>waits ${waitedFor(asked)}</time><span class="where"><${Icon} icon="folder" size="s" /><span class="path clip">${shortPath(session.projectPath)}</span><span class="dot"></span><a class="clip" dir="auto" href=${`#/session/${session.id}`}>${titleOf(session)}</a></span></header>
    <${Form} session=${session} asked=${asked} title=${title} why=${why} answer=${answer} />
  </article>`;
}

// The button that had the focus is gone with what it answered: the next card has it then.
function onward(card) {
  const has = document.activeElement;
  if (has && has !== document.body && !card?.contains(has)) return;
  const cards = [...document.querySelectorAll(".ask")];
  const open = (list) => list.find((one) => one !== card && !one.classList.contains("gone"));
  (open(cards.slice(cards.indexOf(card) + 1)) || open(cards) || document.getElementById("main"))?.focus({ preventScroll: true });
}

// A question whose dialog somebody was shown at the terminal has that one's choices, and takes one of them.
/** @param {Waiting} asked */
const isHandedQuestion = (asked) => asked.for === "question" && !(asked.choices || []).some((choice) => choice.id === "deny");
/** @param {Waiting} asked */
const isPause = (asked) => (asked.choices || []).some((choice) => choice.id === "retry");

const Title = ({ asked, title }) => html`<h2 id=${`t-${asked.id}`} dir="auto">${title}</h2>`;
const Key = ({ n }) => (n < 9 ? html`<kbd class="for-keys">${n + 1}</kbd>` : null);
const Elsewhere = ({ session, words = "Terminal", kind = "quiet push" }) => html`<a class=${`btn ${kind}`} href=${`/terminal#${session.id}`}><${Icon} icon="terminal" size="s" />${words}</a>`;
const AtTerminal = ({ session }) => html`<p class="small soft">It is shown in the session’s terminal, and is answered there.</p><${Elsewhere} session=${session} words="Open the terminal" kind="you" />`;

// How long still, as it goes.
function Countdown({ until }) {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return html`<span class="num">${countdown(until - Date.now())}</span>`;
}

/** @param {{session: Session, asked: Waiting, title: unknown, why?: string, answer: (body: any, said: string) => any}} given */
function Permission({ session, asked, title, why, answer }) {
  const [reason, setReason] = useState(null);
  const has = (id) => (asked.choices || []).find((choice) => choice.id === id);
  const others = (asked.choices || []).filter((choice) => !WORDS[choice.id]);
  const rule = has("always");
  return html`<div class="asked"><${Title} asked=${asked} title=${title} /><${Input} tool=${asked.tool} input=${asked.input} preview=${asked.preview} folder=${session.projectPath} />
      ${!asked.input ? html`<p class="soft" dir="auto">${asked.text}</p>` : null}</div>
    <footer>${asked.choices?.length ? null : html`<${AtTerminal} session=${session} />`}<span class="two">${has("allow") ? html`<${Btn} kind="you" why=${why} onClick=${() => answer({ choice: "allow" }, "Allowed by you, just now")}>Allow once <kbd class="for-keys">A</kbd></${Btn}>` : null}
      ${has("deny") ? html`<${Btn} why=${why} onClick=${() => answer({ choice: "deny" }, "Denied by you, just now")}>Deny <kbd class="for-keys">D</kbd></${Btn}>` : null}</span>
      ${rule ? html`<${Btn} why=${why} onClick=${() => answer({ choice: "always" }, "Allowed always by you, just now")}><span>Allow always: ${ruleOf(rule)}</span> <kbd class="for-keys">⇧A</kbd></${Btn}>` : null}
      ${others.map((choice) => html`<${Btn} why=${why} key=${choice.id} onClick=${() => answer({ choice: choice.id }, `${choice.label}, by you`)}>${choice.label}</${Btn}>`)}
      ${has("deny") && reason === null ? html`<${Btn} kind="quiet push" onClick=${() => setReason("")}>Deny, because…</${Btn}>` : null}
      ${reason !== null ? html`<label class="field grow"><span class="sr">Why not</span><input class="input" dir="auto" value=${reason} onInput=${(event) => setReason(event.target.value)} placeholder="What should Claude do instead?" /></label><${Btn} why=${why || (reason.trim() ? undefined : "say why")} onClick=${() => answer({ choice: "deny", text: reason }, "Denied by you, with a reason")}>Deny</${Btn}>` : null}
    </footer>`;
}

/** @param {{asked: Waiting, title: unknown, why?: string, answer: (body: any, said: string) => any}} given */
function Questions({ asked, title, why, answer }) {
  const questions = /** @type {any[]} */ (asked.questions || []);
  const [chosen, setChosen] = useState({});
  const [own, setOwn] = useState({});
  const [tried, setTried] = useState(false);
  const answerOf = (index) => {
    const words = (own[index] || "").trim();
    const picked = chosen[index] || [];
    if (questions[index].multiSelect) return [...picked, ...(words ? [words] : [])].join(", ");
    return words || picked[0] || "";
  };
  const missing = questions.map((_, index) => index).filter((index) => !answerOf(index));
  const pick = (index, label, several, on) => {
    const before = chosen[index] || [];
    setChosen({ ...chosen, [index]: several ? (on ? [...before, label] : before.filter((one) => one !== label)) : [label] });
    if (!several) setOwn({ ...own, [index]: "" });
  };
  const send = () => {
    setTried(true);
    if (missing.length) return;
    answer({ answers: Object.fromEntries(questions.map((question, index) => [question.question, answerOf(index)])) }, "Answered by you, just now");
  };
  let number = 0;
  const key = (event) => {
    if (event.key !== "Enter" || !(event.metaKey || event.ctrlKey) || why) return;
    event.preventDefault();
    send();
  };
  return html`<div class="asked" onKeyDown=${key}><${Title} asked=${asked} title=${title} />
    ${questions.map((question, index) => html`<fieldset class="q" key=${index} data-question=${index}><legend dir="auto">${questions.length > 1 ? `${index + 1}. ` : ""}${question.question}${question.multiSelect ? html` <span class="muted small">Choose any number.</span>` : null}</legend>
      <div class="choices">${(question.options || []).map((option) => html`<label class="choice" key=${option.label}><input class="tick" type=${question.multiSelect ? "checkbox" : "radio"} name=${`${asked.id}-${index}`} checked=${(chosen[index] || []).includes(option.label)} onChange=${(event) => pick(index, option.label, question.multiSelect, event.target.checked)} /><span><b dir="auto">${option.label}</b>${option.description ? html`<span class="d" dir="auto">${option.description}</span>` : null}${option.preview ? html`<pre class="small" dir="ltr">${visible(option.preview)}</pre>` : null}</span><${Key} n=${number++} /></label>`)}</div>
      <label class="field"><span class="sr">Your own answer to question ${index + 1}</span><input class="input" dir="auto" placeholder="Or in your own words" value=${own[index] || ""} onInput=${(event) => { setOwn({ ...own, [index]: event.target.value }); if (!question.multiSelect && event.target.value) setChosen({ ...chosen, [index]: [] }); }} /></label>
      ${tried && missing.includes(index) ? html`<p class="small bad-text" role="alert">This one is missing.</p>` : null}</fieldset>`)}</div>
    <footer><${Btn} kind="you" why=${why} onClick=${send}>${questions.length > 1 ? `Send ${questions.length} answers` : "Send the answer"} <kbd class="for-keys">${COMMAND_KEY} Enter</kbd></${Btn}>
      ${(asked.choices || []).some((choice) => choice.id === "deny") ? html`<${Btn} kind="quiet" why=${why} onClick=${() => answer({ choice: "deny" }, "Declined by you")}>Decline to answer</${Btn}>` : null}
      ${missing.length ? html`<span class="small muted push">${many(missing.length, "answer")} missing</span>` : null}</footer>`;
}

// What an MCP server asks to have filled in. Values are sent as words: the server's types are put to them behind the API.
/** @param {{session: Session, asked: Waiting, title: unknown, why?: string, answer: (body: any, said: string) => any}} given */
function Fields({ session, asked, title, why, answer }) {
  const fields = asked.fields || [];
  const [values, setValues] = useState(/** @type {Record<string, any>} */ (Object.fromEntries(fields.filter((field) => field.value != null).map((field) => [field.name, field.several ? field.value : String(field.value)]))));
  const put = (field, value) => setValues({ ...values, [field.name]: value });
  const url = String(asked.input?.url || "");
  const link = /^https?:/i.test(url) && URL.canParse(url) ? url : null;
  let number = 0;
  const empty = (field) => !(values[field.name] || "").length;
  const missing = fields.filter((field) => field.required && empty(field));
  const send = () => answer({ choice: "accept", answers: Object.fromEntries(fields.filter((field) => !empty(field)).map((field) => [field.name, values[field.name]])) }, "Filled in by you, just now");
  const options = (field) => (field.type === "boolean" ? [{ id: "true", label: "Yes" }, { id: "false", label: "No" }] : field.choices || []);
  const pick = (field, id, on) => put(field, !field.several ? id : on ? [...(values[field.name] || []), id] : (values[field.name] || []).filter((one) => one !== id));
  return html`<div class="asked"><${Title} asked=${asked} title=${title} /><p class="soft asks-for" dir="auto">${visible(asked.text || "")}</p>
    ${link ? html`<p><a class="btn" href=${link} target="_blank" rel="noopener noreferrer"><${Icon} icon="external" size="s" />Open ${new URL(link).host}</a></p>` : null}
    ${fields.map((field, index) => html`<fieldset class="q" key=${field.name}><legend dir="auto">${field.label}${field.required ? "" : html` <span class="muted small">Optional.</span>`}</legend>
      ${field.description ? html`<p class="small muted" dir="auto">${field.description}</p>` : null}
      ${options(field).length ? html`<div class="choices">${options(field).map((option) => html`<label class="choice" key=${option.id}><input class="tick" type=${field.several ? "checkbox" : "radio"} name=${`${asked.id}-${index}`} checked=${field.several ? (values[field.name] || []).includes(option.id) : values[field.name] === option.id} onChange=${(event) => pick(field, option.id, event.target.checked)} /><span><b dir="auto">${option.label}</b></span><${Key} n=${number++} /></label>`)}</div>`
      : html`<label class="field"><span class="sr">${field.label}</span><input class="input" dir="auto" inputmode=${{ integer: "numeric", number: "decimal" }[field.type]} value=${values[field.name] || ""} onInput=${(event) => put(field, event.target.value)} /></label>`}</fieldset>`)}</div>
    <footer>${!asked.choices?.length ? html`<${AtTerminal} session=${session} />` : html`<${Btn} kind="you" why=${why || (missing.length ? `${missing[0].label} is missing` : undefined)} onClick=${send}>Accept</${Btn}>
      <${Btn} kind="quiet" why=${why} onClick=${() => answer({ choice: "decline" }, "Declined by you")}>Decline</${Btn}>${missing.length ? html`<span class="small muted push" dir="auto">${missing.map((field) => field.label).join(", ")} missing</span>` : null}`}</footer>`;
}

/** @param {{session: Session, asked: Waiting, title: unknown, why?: string, answer: (body: any, said: string) => any}} given */
function Plan({ session, asked, title, why, answer }) {
  const [words, setWords] = useState("");
  const text = (asked.input && asked.input.plan) || asked.text || "";
  const choices = asked.choices || [];
  const deny = choices.find((choice) => choice.id === "deny");
  const approve = choices.filter((choice) => choice.id !== "deny");
  return html`<div class="asked"><${Title} asked=${asked} title=${title} /><div class="prose"><${Markdown} text=${text} /></div></div>
    <footer>${choices.length ? null : html`<${AtTerminal} session=${session} />`}${approve.map((choice, index) => html`<${Btn} key=${choice.id} kind=${index ? "" : "you"} why=${why} onClick=${() => answer({ choice: choice.id }, "Approved by you, just now")}>${index || choice.id !== "allow" ? choice.label : "Approve the plan"}</${Btn}>`)}
      ${deny ? html`<${Btn} why=${why} onClick=${() => answer(words.trim() ? { choice: "deny", text: words } : { choice: "deny" }, "Sent back by you")}>Keep planning</${Btn}>
      <label class="field grow"><span class="sr">What should change</span><input class="input" dir="auto" placeholder="What should change?" value=${words} onInput=${(event) => setWords(event.target.value)} /></label>` : null}</footer>`;
}

// Claude's service refuses, or there is no login: what it is, what to do about it, and when it goes on by itself.
/** @param {{session: Waits, asked: Waiting, title: unknown, why?: string, answer: (body: any, said: string) => any}} given */
function Pause({ session, asked, title, why, answer }) {
  const login = asked.for === "login";
  const alike = waiting.value.filter((one) => one.waiting.for === asked.for && isPause(one.waiting));
  const held = alike.reduce((sum, one) => sum + waitingMessages(one), 0);
  const others = login ? alike.filter((one) => one.id !== session.id) : [];
  const said = "Tried again by you, just now";
  const again = () => Promise.all([answer({ choice: "retry" }, said), ...others.map((one) => give(one, { choice: "retry" }, said))]);
  const reason = asked.text.split("\n").filter((line) => line !== asked.title && !/log in with .?\/login/i.test(line)).join("\n");
  return html`<div class="asked"><${Title} asked=${asked} title=${title} />
      ${reason ? html`<p class="small soft" dir="auto">${reason}</p>` : null}
      ${login ? html`<p class="soft">Run <code>claude</code> in a terminal on this machine and log in with <code>/login</code>, or set a token in <code>claude.env</code> and restart pilotlight. ${alike.length > 1 ? `${alike.length} sessions wait for it; one answer starts them all.` : null}</p>` : null}
      <p class="soft">${asked.until ? html`${login ? "It is tried again" : "It goes on"} by itself at <strong>${when(asked.until)}</strong>, in <${Countdown} until=${asked.until} />. ` : null}${held ? `${many(held, "message")}${alike.length > 1 ? ` in ${alike.length} sessions` : ""} ${held === 1 ? "is" : "are"} held until then; nothing of that is lost.` : "What you write now is held until then."}</p></div>
    <footer><${Btn} kind=${login ? "you" : ""} icon="refresh" why=${why} onClick=${again}>${login ? "I have logged in: try again" : "Try now"}</${Btn}>
      <${Elsewhere} session=${session} words=${login ? "Open the terminal" : "Terminal"} /></footer>`;
}

// Where the CLI itself asks for a line, one can be given from here.
const TYPED = ["login", "setup", "dialog"];
/** @param {{session: Session, asked: Waiting, title: unknown, why?: string, answer: (body: any, said: string) => any}} given */
function Choices({ session, asked, title, why, answer }) {
  const [words, setWords] = useState("");
  const trust = asked.for === "trust";
  const isYes = (choice) => /^yes\b/i.test(choice.label);
  const choices = trust ? [...(asked.choices || [])].sort((a, b) => Number(isYes(b)) - Number(isYes(a))) : asked.choices || [];
  const said = (choice) => (trust ? (isYes(choice) ? "Trusted by you, just now" : "Not trusted: the session ends") : `“${choice.label}”, by you`);
  const takesText = TYPED.includes(asked.for) && choices.every((choice) => ["enter", "escape"].includes(choice.id));
  return html`<div class="asked"><${Title} asked=${asked} title=${title} />
      ${trust ? html`<p class="path">${session.projectPath}</p><p class="small soft">Claude may read everything in it, and run what its settings name. Your first message waits until you decide.</p>`
      : asked.text ? html`<div class="screen-text" tabindex="0" role="group" aria-label="The screen of the session">${asked.text}</div>` : null}
      ${takesText ? html`<label class="field"><span class="label">If it asks for something, what you would type there</span><input class="input" dir="auto" autocomplete="off" value=${words} onInput=${(event) => setWords(event.target.value)} /></label>` : null}</div>
    <footer>${takesText ? html`<${Btn} kind="you" why=${why || (words.trim() ? undefined : "nothing is written yet")} onClick=${() => answer({ text: words }, "Answered by you, just now")}>Type it there</${Btn}>` : null}
      ${choices.map((choice, index) => html`<${Btn} key=${choice.id} data-choice kind=${index === 0 && !takesText && (trust || choices.length === 1) ? "you" : ""} why=${why} onClick=${() => answer({ choice: choice.id }, said(choice))}>${trust && /^no, exit$/i.test(choice.label) ? "No, end the session" : choice.label} <${Key} n=${index} /></${Btn}>`)}
      ${choices.length || takesText ? html`<${Elsewhere} session=${session} />` : html`<${AtTerminal} session=${session} />`}</footer>`;
}

export default function Attention({ id }) {
  const kept = useRef(new Map()); // a card stays where it is for two seconds after its answer
  const [, redraw] = useState(0);
  for (const one of waiting.value) kept.current.set(one.waiting.id, one);
  const present = new Set(waiting.value.map((one) => one.waiting.id));
  for (const [key] of kept.current) {
    if (present.has(key)) continue;
    if (!gone.value[key]) told(key, "Not asked any more");
    if (Date.now() - gone.value[key].at > 2000 && !document.querySelector(".cards:hover")) kept.current.delete(key);
  }
  useEffect(() => {
    const timer = setInterval(() => redraw((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  const cards = [...kept.current.values()];
  const [at, setAt] = useState(null);
  const open = cards.filter((one) => !gone.value[one.waiting.id]);
  const current = open.find((one) => one.id === (at || id)) || open[0];
  useEffect(() => {
    if (id) document.getElementById(`ask-${id}`)?.scrollIntoView({ block: "start" });
  }, [id]);
  const press = (text) => () => {
    const buttons = [...document.querySelectorAll(".ask.now footer .btn")];
    buttons.find((button) => button.textContent.trim().startsWith(text))?.click();
  };
  const shift = (step) => () => {
    const next = open[Math.max(0, Math.min(open.length - 1, open.indexOf(current) + step))];
    if (next) {
      setAt(next.id);
      document.getElementById(`ask-${next.id}`)?.focus();
    }
  };
  const edge = current?.waiting.id;
  const [stood, setStood] = useState(""); // the card that has had the edge for long enough to be read
  useEffect(() => {
    const timer = setTimeout(() => setStood(edge || ""), STANDS_MS);
    return () => clearTimeout(timer);
  }, [edge]);
  const acts = stood === edge;
  const once = (act) => (event) => acts && !event.repeat && act(event);
  const choose = (event) => document.querySelectorAll(".ask.now .choice input, .ask.now [data-choice]")[Number(event.key) - 1]?.click();
  useKeys({ choose: once(choose), next: shift(1), previous: shift(-1), allow: once(press("Allow once")), always: once((event) => event.shiftKey && press("Allow always")()), deny: once(press("Deny")), open: () => current && go(`/session/${current.id}`) });
  const busy = live.value.filter((one) => one.state === "busy");
  return html`<main id="main" tabindex="-1"><${Bar} title="Attention" mark=${open.length ? html`<span class="count you">${open.length}</span>` : null}><a class="icon-btn" href="#/settings/notifications" aria-label="Who is told, and how"><${Icon} icon="bell" /></a></${Bar}>
    <div class="body">${cards.length ? html`<div class="desk">
      <nav class="index" aria-label="What waits">${open.map((one) => html`<a class="index-item" key=${one.id} href=${`#/attention/${one.id}`} onClick=${() => setAt(one.id)} aria-current=${current === one ? "true" : undefined}><span class=${`state s-${stateOf(one).color}`}><${Icon} icon=${stateOf(one).icon} /><span class="sr">${stateOf(one).word}</span></span><span class="clip strong" dir="auto">${titleOf(one)}</span><span></span><span class="d clip" dir="auto">${askedOf(one.waiting, one.projectPath)} · ${age(one.waiting.since || minute.value)}</span></a>`)}</nav>
      <div class="cards" data-keys=${acts ? "on" : undefined} onFocusIn=${(event) => setAt(event.target.closest(".ask")?.id.slice("ask-".length) || at)}>${cards.map((one) => html`<${Card} session=${sessions.value.get(one.id)?.waiting?.id === one.waiting.id ? sessions.value.get(one.id) : one} now=${current === one} key=${one.waiting.id} />`)}</div>
      <aside class="keys box" aria-label="Keyboard"><h2>Keyboard</h2><ul class="keys-list"><li>Next, previous <span><kbd>J</kbd> <kbd>K</kbd></span></li><li>Allow once <kbd>A</kbd></li><li>Allow always <kbd>⇧A</kbd></li><li>Deny <kbd>D</kbd></li><li>Choose an option <span><kbd>1</kbd> – <kbd>9</kbd></span></li><li>Send answers <kbd>${COMMAND_KEY} Enter</kbd></li><li>Open the conversation <kbd>O</kbd></li></ul><p class="small muted">Keys act on the card with the amber edge, and only after it has stood still for half a second.</p></aside>
    </div>` : html`<${Empty} icon="check" title="Nobody waits for you"><p class="soft">${busy.length ? `${many(busy.length, "session")} at work: ${busy.slice(0, 3).map(titleOf).join(", ")}.` : "Nothing is at work either."}</p><a class="btn" href="#/sessions">All sessions</a></${Empty}>`}</div></main>`;
}
