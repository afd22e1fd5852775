// The manager: limits and times, rules, devices, appearance. Every field says what follows from it; the server checks, and what it
// takes is in force at once.
import { html, useEffect, useState } from "../vendor/preact.js";
import { del, get, patch, post } from "./api.js";
import { Copy } from "./copy.js";
import { Notifications } from "./notify.js";
import { Bar, setTheme, theme } from "./shell.js";
import { attempt, hindrance, keeps, leaveNothing, live, may, me, setKeeps, settings } from "./store.js";
import { Bones, Btn, confirm, Icon } from "./ui.js";
import { actorOf, ago, bytes, clock, GIGABYTE, many, visible } from "./words.js";

const FIELDS = [
  ["sessions.max_concurrent", "Live sessions at a time", "", "The least used idle one sleeps for the next."],
  ["sessions.timeout_hours", "Expire after", "hours", "Hours without a message, a key press or a background task."],
  ["sessions.warning_hours", "Warn after", "hours", "One notification, before it expires."],
  ["sessions.auto_keep_alive", "Extend by itself", "", "Sessions do not expire while this is on. A session’s own switch wins."],
  ["limits.memory_per_session_mb", "Memory of one session", "MB", "Above it: recycled between turns, a second or so. Above twice as much: stopped and resumed."],
  ["limits.memory_total_gb", "Memory of all sessions", "GB", "Above it idle ones sleep, the oldest first."],
  ["limits.cpu_percent", "CPU of the machine", "%", "Above it new starts wait."],
];

function Limits() {
  const [answer, setAnswer] = useState(/** @type {Got<"/api/settings">} */ (null));
  const [edited, setEdited] = useState({});
  const [wrong, setWrong] = useState(null);
  useEffect(() => {
    get("/api/settings").then(setAnswer, (error) => setWrong(error.message));
  }, []);
  if (!answer) return wrong ? html`<div class="note bad">${wrong}</div>` : html`<${Bones} />`;
  const apply = async (values) => {
    setWrong(null);
    try {
      const next = await patch("/api/settings", values);
      setAnswer(next);
      settings.value = next.settings;
      setEdited({});
    } catch (error) {
      setWrong(error.message);
    }
  };
  const changes = Object.entries(edited).filter(([name, value]) => String(value) !== String(answer.settings[name]));
  const save = (event) => {
    event.preventDefault();
    const values = Object.fromEntries(changes.map(([name, value]) => [name, typeof value === "boolean" ? value : Number(String(value).replace(",", "."))]));
    apply(values);
  };
  const admin = may("admin");
  const used = live.value.filter((one) => one.memoryBytes);
  const average = used.length ? used.reduce((sum, one) => sum + one.memoryBytes, 0) / used.length : 0;
  const total = Number(edited["limits.memory_total_gb"] ?? answer.settings["limits.memory_total_gb"]);
  const room = average ? html`<div class="note"><span><${Icon} icon="memory" size="s" /></span><p>A session takes ${bytes(average)} here on average. Within ${total} GB about <b>${Math.floor((total * GIGABYTE) / average)}</b> stay awake.</p></div>` : null;
  return html`<form class="set" id="limits" onSubmit=${save}><header><h2>Sessions and limits</h2><p>The server checks every value; what it refuses stays as it was.</p></header>
    ${FIELDS.filter(([name]) => name in answer.settings).map(([name, title, unit, why]) => {
      const value = edited[name] ?? answer.settings[name];
      const changed = answer.changed.includes(name);
      const back = changed && admin ? html`<span class="changed">Changed here; the file says ${String(answer.file?.[name] ?? "otherwise")}. <button type="button" class="link" onClick=${() => apply({ [name]: null })}>Use the file’s</button></span>` : null;
      if (typeof value === "boolean") {
        return html`<div class="opt-row" key=${name}><label class="switch"><span class="grow"><span class="name">${title}</span><span class="why">${why}</span>${back}</span><input type="checkbox" role="switch" checked=${value} disabled=${!admin} onChange=${(event) => setEdited({ ...edited, [name]: event.target.checked })} /></label></div>`;
      }
      return html`<div class="opt-row side" key=${name}><div><span class="name">${title}</span><span class="why">${why}</span>${back}</div><span class="unit"><input class="input num" inputmode="decimal" aria-label=${`${title}${unit ? `, ${unit}` : ""}`} name=${name} value=${value} disabled=${!admin} onInput=${(event) => setEdited({ ...edited, [name]: event.target.value })} /><span class="muted">${unit}</span></span>${name === "sessions.max_concurrent" ? room : null}</div>`;
    })}
    ${wrong ? html`<div class="opt-row"><div class="note bad" role="alert"><span><${Icon} icon="failed" size="s" /></span><p>${wrong}</p></div></div>` : null}
    ${admin ? null : html`<div class="opt-row small muted">Changing these needs admin.</div>`}
    ${changes.length ? html`<div class="save" role="region" aria-label="Not saved yet"><b class="small grow">${many(changes.length, "change")}</b><${Btn} onClick=${() => setEdited({})}>Discard</${Btn}><button type="submit" class="btn primary" disabled=${Boolean(hindrance("admin"))} title=${hindrance("admin")}>Save</button></div>` : null}</form>`;
}

function Rules() {
  const [rules, setRules] = useState(/** @type {Got<"/api/rules">["rules"]} */ (null));
  const [made, setMade] = useState({ answer: "allow", tool: "Bash", pattern: "" });
  const load = () => get("/api/rules").then((answer) => setRules(answer.rules), () => {});
  useEffect(() => void load(), []);
  const add = async (event) => {
    event.preventDefault();
    if (await attempt(() => post("/api/rules", { ...made, pattern: made.pattern.trim() || "*" }), "In force from now on.")) setMade({ ...made, pattern: "" });
    load();
  };
  const remove = async (rule) => {
    await attempt(() => del(`/api/rules/${rule.id}`).then(() => null), "It counts no more.");
    load();
  };
  const write = (name) => (event) => setMade({ ...made, [name]: event.target.value });
  return html`<section class="set" id="rules"><header><h2>Permission rules</h2><p>Answered without asking you. One that denies wins over one that allows.</p></header>
    <div class="channels">${(rules || []).map((rule) => html`<div class="item" key=${rule.id || `${rule.tool} ${rule.pattern}`}><span class="ic"><${Icon} icon=${rule.answer === "allow" ? "check" : "x"} /></span><div class="grow"><b class="strong">${rule.answer === "allow" ? "Allow" : "Deny"}</b> <code dir="ltr">${rule.tool}(${visible(rule.pattern)})</code><div class="small muted">${rule.id ? `Added by ${actorOf(rule.by, me.value)}` : "In the configuration file"}, used ${rule.used === 1 ? "once" : `${rule.used} times`}</div></div><span class="end under">${rule.id && may("admin") ? html`<${Btn} kind="tight" onClick=${() => remove(rule)}>Remove</${Btn}>` : null}</span></div>`)}</div>
    ${rules && !rules.length ? html`<p class="opt-row small muted">None: you are asked for everything that Claude may not do by itself.</p>` : null}
    ${may("admin") ? html`<form class="opt-row btns" onSubmit=${add}><span class="select-box"><select class="select" value=${made.answer} onChange=${write("answer")} aria-label="What the rule answers"><option value="allow">Allow</option><option value="deny">Deny</option></select><${Icon} icon="down" /></span>
      <input class="input tool-name" aria-label="Tool of the rule" value=${made.tool} onInput=${write("tool")} spellcheck="false" autocapitalize="off" required /><input class="input grow" aria-label="Pattern of the rule" placeholder="git status*" value=${made.pattern} onInput=${write("pattern")} spellcheck="false" autocapitalize="off" dir="ltr" /><button type="submit" class="btn">Add rule</button></form>` : null}</section>`;
}

function Devices() {
  const [answer, setAnswer] = useState(/** @type {Got<"/api/devices">} */ (null));
  const [made, setMade] = useState(null);
  const [scope, setScope] = useState("answer");
  const load = () => get("/api/devices").then(setAnswer, () => {});
  useEffect(() => void load(), []);
  const revoke = async (device) => {
    if (await confirm(`Revoke “${device.name}”?`, "It is let in no more, and what it has open ends within a second.", "Revoke")) {
      await attempt(() => del(`/api/devices/${device.id}`).then(() => null), "Revoked.");
      load();
    }
  };
  const leave = async () => {
    const left = await attempt(() => post("/api/sign-out").then(() => true));
    await leaveNothing();
    if (left) location.reload();
  };
  const invite = async () => setMade(await attempt(() => post("/api/devices/invitations", { scope })));
  return html`<section class="set" id="devices"><header><h2>Devices</h2><p>Browsers that are signed in. Each is let in for 90 days after its last use.</p></header>
    <div class="channels">${(answer?.devices || []).map((device) => html`<div class="item" key=${device.id}><span class="ic"><${Icon} icon=${/phone|Android|iPad/i.test(device.name) ? "phone" : "laptop"} /></span><div><b class="strong" dir="auto">${device.name}</b> <span class="muted small">may ${device.scope}</span><div class="small muted">${device.id === answer.current ? "This one" : `Used ${ago(device.lastUsedAt)}`}${device.tokenName ? `, came in with the token ${device.tokenName}` : ""}</div></div><span class="end under">${device.id === answer.current ? html`<${Btn} kind="tight" onClick=${leave}>Sign out</${Btn}>` : may("admin") ? html`<${Btn} kind="tight" onClick=${() => revoke(device)}>Revoke…</${Btn}>` : null}</span></div>`)}</div>
    ${may("admin") ? html`<div class="opt-row stack"><div class="btns"><label class="inline small">New device may <span class="select-box"><select class="select" value=${scope} onChange=${(event) => setScope(event.target.value)} aria-label="What the new device may do"><option value="read">read</option><option value="chat">chat</option><option value="answer">answer</option><option value="admin">admin</option></select><${Icon} icon="down" /></span></label><${Btn} icon="plus" onClick=${invite}>Add a device</${Btn}></div>
      ${made ? html`<div class="note info"><span><${Icon} icon="phone" size="s" /></span><div class="stack"><p>Open this address on it, or type the code there. Once, until ${clock(made.until)}.</p><${Pairing} url=${made.url} /><div class="cmd"><code tabindex="0">${made.code}</code><${Copy} text=${made.code} label="Copy the code" /></div><div class="cmd"><code tabindex="0">${made.url}</code><${Copy} text=${made.url} label="Copy the link" /></div></div></div>` : null}</div>` : null}</section>`;
}

function Tokens() {
  const [tokens, setTokens] = useState(/** @type {Got<"/api/tokens">["tokens"]} */ (null));
  const [made, setMade] = useState(/** @type {Answer<"POST", "/api/tokens">} */ (null));
  const [wanted, setWanted] = useState({ name: "", scope: "chat" });
  const load = () => get("/api/tokens").then((answer) => setTokens(answer.tokens), () => {});
  useEffect(() => void load(), []);
  const show = async (act) => {
    const answer = await attempt(act);
    if (answer) setMade(answer);
    load();
    return answer;
  };
  const add = async (event) => {
    event.preventDefault();
    if (await show(() => post("/api/tokens", wanted))) setWanted({ ...wanted, name: "" });
  };
  const rotate = async (one) => {
    if (await confirm(`Rotate “${one.name}”?`, "The token that is in use now counts no more.", "Rotate")) show(() => post(`/api/tokens/${one.name}/rotate`));
  };
  const revoke = async (one) => {
    if (!(await confirm(`Revoke “${one.name}”?`, "It counts no more, and the devices that came in with it go with it.", "Revoke"))) return;
    await attempt(() => del(`/api/tokens/${one.name}`).then(() => null), "Revoked.");
    load();
  };
  return html`<section class="set" id="tokens"><header><h2>Tokens</h2><p>For programs, each with what it may do. The one that pilotlight made at its first start is not listed: “pilotlight token” prints it.</p></header>
    <div class="channels">${(tokens || []).map((one) => html`<div class="item" key=${one.name}><span class="ic"><${Icon} icon="login" /></span><div><b class="strong path">${one.name}</b> <span class="muted small">may ${one.scope}</span><div class="small muted">Made ${ago(one.createdAt)}${one.rotatedAt ? `, rotated ${ago(one.rotatedAt)}` : ""}</div></div><span class="end under"><${Btn} kind="tight" onClick=${() => rotate(one)}>Rotate…</${Btn}><${Btn} kind="tight" onClick=${() => revoke(one)}>Revoke…</${Btn}></span></div>`)}</div>
    <form class="opt-row stack" onSubmit=${add}><div class="btns"><input class="input" required maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" placeholder="Name, such as ci-bot" aria-label="Name of the new token" value=${wanted.name} onInput=${(event) => setWanted({ ...wanted, name: event.target.value })} /><label class="inline small">may <span class="select-box"><select class="select" value=${wanted.scope} onChange=${(event) => setWanted({ ...wanted, scope: event.target.value })} aria-label="What the new token may do"><option value="read">read</option><option value="chat">chat</option><option value="answer">answer</option><option value="admin">admin</option></select><${Icon} icon="down" /></span></label><button type="submit" class="btn"><${Icon} icon="plus" size="s" />Make a token</button></div>
      ${made ? html`<div class="note info"><span><${Icon} icon="login" size="s" /></span><div class="stack"><p>The token of <b class="path">${made.token.name}</b>. It is shown this once.</p><div class="cmd"><code tabindex="0">${made.secret}</code><${Copy} text=${made.secret} label="Copy the token" /></div></div></div>` : null}</form></section>`;
}

function Pairing({ url }) {
  const [path, setPath] = useState(null);
  useEffect(() => {
    import("../vendor/lean-qr.js").then(({ generate }) => {
      const code = generate(url);
      let made = "";
      for (let y = 0; y < code.size; y++) for (let x = 0; x < code.size; x++) if (code.get(x, y)) made += `M${x + 4} ${y + 4}h1v1h-1z`;
      setPath({ made, size: code.size + 8 });
    }, () => {});
  }, [url]);
  return path ? html`<svg class="qr" viewBox=${`0 0 ${path.size} ${path.size}`} role="img" aria-label="The link as a QR code"><rect width="100%" height="100%" fill="#fff" /><path d=${path.made} fill="#000" /></svg>` : null;
}

function Appearance() {
  const [offline, setOffline] = useState(keeps());
  const [letters, setLetters] = useState(localStorage.getItem("letters") !== "off");
  return html`<section class="set" id="appearance"><header><h2>This device</h2></header>
    <div class="opt-row side"><span class="name">Theme</span><div class="seg" role="group" aria-label="Theme">${["auto", "light", "dark"].map((name) => html`<button type="button" key=${name} aria-pressed=${theme.value === name ? "true" : "false"} onClick=${() => setTheme(name)}>${name[0].toUpperCase() + name.slice(1)}</button>`)}</div></div>
    <div class="opt-row"><label class="switch"><span class="grow"><span class="name">Keep conversations on this device</span><span class="why">The ends of the last twelve, to read without a connection. Gone when this device is signed out.</span></span><input type="checkbox" role="switch" checked=${offline} onChange=${(event) => { setOffline(event.target.checked); setKeeps(event.target.checked); }} /></label></div>
    <div class="opt-row"><label class="switch"><span class="grow"><span class="name">Single-letter shortcuts</span><span class="why">Outside fields only. <a href="#/help">All of them</a></span></span><input type="checkbox" role="switch" checked=${letters} onChange=${(event) => { setLetters(event.target.checked); localStorage.setItem("letters", event.target.checked ? "on" : "off"); }} /></label></div></section>`;
}

const PARTS = [["limits", "Sessions and limits"], ["rules", "Permission rules"], ["devices", "Devices"], ["tokens", "Tokens"], ["notifications", "Notifications"], ["appearance", "This device"]];

/** @param {{id: string | null}} given the part that the address names */
export default function Settings({ id }) {
  const [here, setHere] = useState(id || "limits");
  const parts = PARTS.filter(([part]) => part !== "tokens" || may("admin"));
  useEffect(() => {
    const look = () => {
      const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2 && scrollY > 0;
      const seen = parts.filter(([part]) => document.getElementById(part)?.getBoundingClientRect().top < innerHeight / 3);
      setHere((end ? parts : seen).at(-1)?.[0] || "limits");
    };
    addEventListener("scroll", look, { passive: true });
    const timer = id ? setTimeout(() => document.getElementById(id)?.scrollIntoView(), 300) : 0; // what stands above it has come
    return () => {
      removeEventListener("scroll", look);
      clearTimeout(timer);
    };
  }, []);
  const jump = (event) => {
    event.preventDefault();
    document.getElementById(event.currentTarget.dataset.part)?.scrollIntoView();
  };
  return html`<main id="main" tabindex="-1"><${Bar} title="Settings" sub=${`In force at once, on ${me.value?.host || "this machine"}`}><a class="btn quiet" href="#/help">Help</a></${Bar}>
    <div class="body"><div class="settings"><nav class="toc" aria-label="Parts of the settings">${parts.map(([part, title]) => html`<a href="#/settings" data-part=${part} key=${part} aria-current=${here === part ? "true" : undefined} onClick=${jump}>${title}</a>`)}</nav>
      <div><${Limits} /><${Rules} /><${Devices} />${may("admin") ? html`<${Tokens} />` : null}<${Notifications} /><${Appearance} /></div></div></div></main>`;
}
