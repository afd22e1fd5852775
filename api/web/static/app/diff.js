// A change as lines, made here: the longest common run of lines between what was and what is to be. Above a bound it is shown whole,
// as removed and added: nothing is guessed, nothing is hidden.
import { html } from "../vendor/preact.js";
import { visible } from "./words.js";

const MOST_CELLS = 4000000;

export function lines(before, after) {
  const a = before === "" ? [] : before.split("\n");
  const b = after === "" ? [] : after.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const middle = between(a.slice(start, a.length - end), b.slice(start, b.length - end));
  return [...a.slice(0, start).map((text) => [" ", text]), ...middle, ...a.slice(a.length - end).map((text) => [" ", text])];
}

function between(a, b) {
  if (a.length * b.length > MOST_CELLS) return [...a.map((text) => ["-", text]), ...b.map((text) => ["+", text])];
  const width = b.length + 1;
  const table = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1 : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const made = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) made.push([" ", a[(j++, i++)]]);
    else if (i < a.length && (j === b.length || table[(i + 1) * width + j] >= table[i * width + j + 1])) made.push(["-", a[i++]]);
    else made.push(["+", b[j++]]);
  }
  return made;
}

export const count = (made) => [made.filter(([sign]) => sign === "+").length, made.filter(([sign]) => sign === "-").length];

const KIND = { "+": ["add", "+", "added"], "-": ["del", "−", "removed"], " ": ["", " ", ""] };

export function Diff({ made }) {
  let old = 0;
  let fresh = 0;
  return html`<div class="diff" tabindex="0" role="group" aria-label="Changed lines">${made.map(([sign, text]) => {
    if (sign !== "+") old++;
    if (sign !== "-") fresh++;
    const [kind, mark, said] = KIND[sign];
    return html`<div class=${kind}><span class="ln">${sign === "-" ? old : fresh}</span><span class="sg">${mark}${said ? html`<span class="sr">${said}</span>` : null}</span><span dir="ltr">${visible(text)}</span></div>`;
  })}</div>`;
}

// A unified diff with its line numbers: [sign, text, number], and [“@”, where] between two places of the file.
export function numbered(text) {
  const rows = [];
  let [old, fresh] = [0, 0];
  for (const line of text.split("\n").slice(2)) {
    const head = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(line);
    if (head) {
      if (rows.length) rows.push(["@", `line ${head[2]}`, ""]);
      [old, fresh] = [Number(head[1]), Number(head[2])];
    } else if (line[0] === "-") rows.push(["-", line.slice(1), old++]);
    else if (line[0] === "+") rows.push(["+", line.slice(1), fresh++]);
    else if (line[0] === " ") {
      rows.push([" ", line.slice(1), fresh++]);
      old++;
    }
  }
  return rows;
}

export const Hunks = ({ rows }) =>
  html`<div class="diff" tabindex="0" role="group" aria-label="Changed lines">${rows.map(([sign, text, number], index) => {
    if (sign === "@") return html`<div class="hunk" key=${index}><span class="ln">…</span><span class="sg"></span><span class="muted">${text}</span></div>`;
    const [kind, mark, said] = KIND[sign];
    return html`<div class=${kind} key=${index}><span class="ln">${number}</span><span class="sg">${mark}${said ? html`<span class="sr">${said}</span>` : null}</span><span dir="ltr">${visible(text)}</span></div>`;
  })}</div>`;
