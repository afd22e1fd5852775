// What a tool was asked to do, and what it said: the whole of it, as text. Edits are diffs; long output is cut with a button that
// lays the rest out.
import { html, useState } from "../vendor/preact.js";
import { Copy } from "./copy.js";
import { count, Diff, Hunks, lines, numbered } from "./diff.js";
import { Icon } from "./ui.js";
import { many, visible, within } from "./words.js";

const LINES = 40;
const CHARACTERS = 4000;
const ICONS = { Bash: "bash", Read: "read", Edit: "diff", Write: "diff", MultiEdit: "diff", Grep: "search", Glob: "search", WebFetch: "globe", WebSearch: "globe", Task: "tasks" };
const ABOUT = { Bash: "command", Read: "file_path", Edit: "file_path", Write: "file_path", MultiEdit: "file_path", Grep: "pattern", Glob: "pattern", WebFetch: "url", WebSearch: "query", Task: "description" };

export const iconOf = (name) => ICONS[name] || "tool";
export const aboutOf = (name, input) => String((input || {})[ABOUT[name]] ?? Object.values(input || {}).find((value) => typeof value === "string") ?? "");

// Every member of an input, whole and exactly.
/** @param {{tool: string, input: any, preview?: string | null, folder?: string}} given */
export function Input({ tool, input, preview, folder = "" }) {
  if (!input) return null;
  const path = html`<span class="path clip" title=${input.file_path}>${visible(within(String(input.file_path ?? ""), folder))}</span>`;
  if (preview) {
    const rows = numbered(preview);
    const [plus, minus] = count(rows);
    return html`<div class="input-box"><div class="code-head">${path}<span class="plus">+${plus}</span><span class="minus">−${minus}</span></div><${Hunks} rows=${rows} />${others(input, ["file_path", "old_string", "new_string", "content", "edits"])}</div>`;
  }
  if (tool === "Bash") {
    return html`<div class="input-box"><div class="code-head"><span class="clip" dir="auto">Bash${input.description ? ` · ${input.description}` : ""}</span><${Copy} text=${input.command || ""} label="Copy the command" /></div><pre tabindex="0" dir="ltr">${visible(input.command || "")}</pre>${others(input, ["command", "description"])}</div>`;
  }
  const pairs = tool === "Edit" ? [[input.old_string, input.new_string]] : tool === "Write" ? [["", input.content]]
    : tool === "MultiEdit" && Array.isArray(input.edits) ? input.edits.map((edit) => [edit?.old_string, edit?.new_string]) : null;
  if (pairs && pairs.every(([before, after]) => typeof before === "string" && typeof after === "string")) {
    const made = pairs.flatMap(([before, after]) => lines(before, after));
    const [plus, minus] = count(made);
    return html`<div class="input-box"><div class="code-head">${path}<span class="plus">+${plus}</span><span class="minus">−${minus}</span></div><${Diff} made=${made} />${others(input, ["file_path", "old_string", "new_string", "content", "edits"])}</div>`;
  }
  return html`<div class="input-box"><div class="code-head"><span class="clip">${tool}</span></div><pre tabindex="0" dir="ltr">${visible(JSON.stringify(input, null, 2))}</pre></div>`;
}

function others(input, known) {
  const more = Object.fromEntries(Object.entries(input).filter(([name]) => !known.includes(name)));
  return Object.keys(more).length ? html`<pre class="small" dir="ltr">${visible(JSON.stringify(more, null, 2))}</pre>` : null;
}

const ANSI = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
export const plain = (text) => text.replace(ANSI, "");

export function Output({ text, bad, id }) {
  const [whole, setWhole] = useState(unfolded.has(`whole ${id}`));
  const lay = () => setWhole(Boolean(unfolded.add(`whole ${id}`)));
  const clean = plain(text);
  const all = clean.split("\n");
  const cut = !whole && (all.length > LINES || clean.length > CHARACTERS);
  const shown = cut ? all.slice(0, LINES).join("\n").slice(0, CHARACTERS) : clean;
  return html`<div class=${`out${bad ? " bad" : ""}`}><pre tabindex="0" dir="auto">${shown}</pre>${cut ? html`<button type="button" class="btn quiet tight" onClick=${lay}>Show ${all.length > LINES ? `${(all.length - LINES).toLocaleString()} more lines` : "the rest"}</button>` : null}</div>`;
}

export function resultText(result) {
  if (result == null) return "";
  if (typeof result === "string") return result;
  if (typeof result.stdout === "string") return [result.stdout, result.stderr].filter(Boolean).join("\n");
  if (Array.isArray(result)) return result.map((part) => (part && part.text) || "").join("\n");
  return JSON.stringify(result, null, 2);
}

// What a person has unfolded stays so where it is drawn anew: as a turn ends, its parts go from what is live into the history.
const unfolded = new Set();
/** @param {{ids: string[], kind: string, summary: unknown, children?: unknown}} given */
export function Fold({ ids, kind, summary, children }) {
  const turned = (event) => ids.forEach((id) => (event.currentTarget.parentElement.open ? unfolded.delete(id) : unfolded.add(id)));
  return html`<details class=${kind} open=${ids.some((id) => unfolded.has(id))}><summary onClick=${turned}>${summary}</summary>${children}</details>`;
}

export function Call({ call }) {
  const text = resultText(call.result);
  return html`<${Fold} ids=${[call.id]} kind="call" summary=${html`<${Icon} icon=${iconOf(call.name)} size="s" /><b>${call.name}</b><span class="arg clip muted" dir="ltr">${aboutOf(call.name, call.input)}</span>${call.isError ? html`<${Icon} icon="failed" size="s" /><span class="sr">failed</span>` : null}<${Icon} icon="down" size="s chev" />`}>
    <${Input} tool=${call.name} input=${call.input} />${text ? html`<${Output} text=${text} bad=${call.isError} id=${call.id} />` : null}${call.truncated ? html`<p class="tiny muted">Cut: the whole is in Claude’s own transcript.</p>` : null}</${Fold}>`;
}

export function Work({ calls }) {
  return html`<${Fold} ids=${calls.map((call) => `with ${call.id}`)} kind="work" summary=${html`<${Icon} icon="tool" size="s" /><span class="clip">${summary(calls)}</span><${Icon} icon="down" size="s chev" />`}><div class="in">${calls.map((call) => html`<${Call} call=${call} key=${call.id} />`)}</div></${Fold}>`;
}

const GROUPS = { Edit: "edit", Write: "edit", MultiEdit: "edit", Read: "read", Bash: "run", Grep: "search", Glob: "search" };
const NOUNS = { edit: "change", read: "read", run: "command", search: "search" };

// What has a result was done; what waits for somebody, or was refused, was not.
function summary(calls) {
  const count = (of) => {
    const counts = {};
    for (const call of of) counts[GROUPS[call.name] || "other"] = (counts[GROUPS[call.name] || "other"] || 0) + 1;
    return counts;
  };
  const open = calls.filter((call) => call.result == null), failed = calls.filter((call) => call.result != null && call.isError);
  const done = count(calls.filter((call) => call.result != null && !call.isError));
  const some = (of) => Object.entries(count(of)).map(([group, number]) => many(number, NOUNS[group] || "tool call")).join(", ");
  const parts = [
    done.edit && `changed ${many(done.edit, "file")}`, done.read && `read ${many(done.read, "file")}`,
    done.run && `ran ${many(done.run, "command")}`, done.search && `searched ${done.search === 1 ? "once" : `${done.search} times`}`,
    done.other && `used ${many(done.other, "tool")}`, failed.length && `failed or refused: ${some(failed)}`, open.length && `not finished: ${some(open)}`,
  ].filter(Boolean).join(", ");
  return parts ? parts[0].toUpperCase() + parts.slice(1) : "Worked";
}
