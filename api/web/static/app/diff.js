// A change as lines, made here: the longest common run of lines between what was and what is to be. Above a bound it is shown whole,
// as removed and added: nothing is guessed, nothing is hidden.
import { html } from "../vendor/preact.js";
import { visible } from "./words.js";

const MOST_CELLS = 4000000;
const MOST_CHARACTERS = 2000; // of two lines that are compared word by word
const MOST_PAIRED = 1000000; // characters of one line times those of the other, of all such lines together: who wrote them may mean harm

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

// What differs within a line that was changed, word by word: [what was, what is], each as parts that say whether the other has them.
// Lines without much in common are other lines.
const LEAST_COMMON = 0.4;
const TOKEN = /\w+|\s+|[^\w\s]/gu;
const length = (parts) => parts.reduce((sum, [, text]) => sum + text.trim().length, 0);
function differing(before, after) {
  if (before.length + after.length > MOST_CHARACTERS) return null;
  const made = between(before.match(TOKEN) || [], after.match(TOKEN) || []);
  const common = length(made.filter(([sign]) => sign === " "));
  if (common < LEAST_COMMON * Math.max(before.trim().length, after.trim().length)) return null;
  return ["-", "+"].map((side) => made.filter(([sign]) => sign === " " || sign === side).map(([sign, text]) => [sign === side, text]));
}

// The parts as vnodes, neighbours of a kind together.
function marked(parts, tag) {
  const made = [];
  for (const [only, text] of parts) {
    if (made.length && made.at(-1)[0] === only) made.at(-1)[1] += text;
    else made.push([only, text]);
  }
  return made.map(([only, text]) => (only ? html`<${tag}>${visible(text)}</${tag}>` : visible(text)));
}

// Each line as it is shown: as many lines that are added as were removed just before belong together, one to one.
function shown(rows) {
  const said = /** @type {any[]} */ (rows.map(([, text]) => visible(text)));
  let room = MOST_PAIRED;
  for (let at = 0; at < rows.length; at++) {
    let gone = at;
    while (rows[gone]?.[0] === "-") gone++;
    let come = gone;
    while (rows[come]?.[0] === "+") come++;
    for (let n = 0; gone - at === come - gone && n < gone - at; n++) {
      room -= rows[at + n][1].length * rows[gone + n][1].length;
      const parts = room < 0 ? null : differing(rows[at + n][1], rows[gone + n][1]);
      if (parts) [said[at + n], said[gone + n]] = [marked(parts[0], "del"), marked(parts[1], "ins")];
    }
    if (come > at) at = come - 1;
  }
  return said;
}

const KIND = { "+": ["add", "+", "added"], "-": ["del", "−", "removed"], " ": ["", " ", ""] };

export function Diff({ made }) {
  let old = 0;
  let fresh = 0;
  const said = shown(made);
  return html`<div class="diff" tabindex="0" role="group" aria-label="Changed lines">${made.map(([sign], index) => {
    if (sign !== "+") old++;
    if (sign !== "-") fresh++;
    const [kind, mark, word] = KIND[sign];
    return html`<div class=${kind}><span class="ln">${sign === "-" ? old : fresh}</span><span class="sg">${mark}${word ? html`<span class="sr">${word}</span>` : null}</span><span dir="ltr">${said[index]}</span></div>`;
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

export function Hunks({ rows }) {
  const said = shown(rows);
  return html`<div class="diff" tabindex="0" role="group" aria-label="Changed lines">${rows.map(([sign, text, number], index) => {
    if (sign === "@") return html`<div class="hunk" key=${index}><span class="ln">…</span><span class="sg"></span><span class="muted">${text}</span></div>`;
    const [kind, mark, word] = KIND[sign];
    return html`<div class=${kind} key=${index}><span class="ln">${number}</span><span class="sg">${mark}${word ? html`<span class="sr">${word}</span>` : null}</span><span dir="ltr">${said[index]}</span></div>`;
  })}</div>`;
}
