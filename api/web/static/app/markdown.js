// Markdown as vnodes. marked only cuts it into tokens; what may stand on the page is the list below, raw HTML is shown as the text
// that it is, and no string ever becomes markup. Nesting has a bottom, so that 200 lists in each other neither overflow nor hang.
import { h, html } from "../vendor/preact.js";
import { lexer } from "../vendor/marked.js";
import { Copy } from "./copy.js";
import { useHighlight } from "./highlight.js";

const DEEPEST = 24;
const LONGEST = 200000;
const SAFE = /^(https?:|mailto:)/i;

// References are resolved by the browser, as it will when it is clicked; what is no https, http or mailto is shown as text.
export function safeLink(href) {
  try {
    const text = String(href).trim();
    if (!SAFE.test(text)) return null;
    const url = new URL(text);
    return ["https:", "http:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

export function Markdown({ text }) {
  if (text.length > LONGEST) return html`<pre class="plain-long" tabindex="0" dir="auto">${text}</pre>`;
  let tokens;
  try {
    tokens = lexer(text, { gfm: true, breaks: false });
  } catch {
    return html`<p dir="auto">${text}</p>`;
  }
  return blocks(tokens, 0);
}

const blocks = (tokens, depth) => (tokens || []).map((token) => block(token, depth + 1));
const inlines = (tokens, depth) => (tokens || []).map((token) => inline(token, depth + 1));

function block(token, depth) {
  if (depth > DEEPEST) return html`<p dir="auto">${token.raw}</p>`;
  switch (token.type) {
    case "space":
    case "def":
      return null;
    case "heading":
      return h(`h${Math.min(6, Math.max(3, token.depth + 2))}`, { dir: "auto" }, inlines(token.tokens, depth));
    case "paragraph":
      return html`<p dir="auto">${inlines(token.tokens, depth)}</p>`;
    case "text":
      return token.tokens ? html`<span dir="auto">${inlines(token.tokens, depth)}</span>` : token.text;
    case "code":
      return html`<${Code} text=${token.text} language=${(token.lang || "").split(/\s/)[0].slice(0, 30)} />`;
    case "blockquote":
      return html`<blockquote dir="auto">${blocks(token.tokens, depth)}</blockquote>`;
    case "hr":
      return html`<hr />`;
    case "list":
      return h(token.ordered ? "ol" : "ul", token.ordered && token.start > 1 ? { start: token.start } : {}, token.items.map((item) => listItem(item, depth + 1)));
    case "table":
      return html`<div class="scroll-x" tabindex="0" role="group" aria-label="Table"><table><thead><tr>${token.header.map((cell) => html`<th dir="auto">${inlines(cell.tokens, depth)}</th>`)}</tr></thead>
        <tbody>${token.rows.map((row) => html`<tr>${row.map((cell) => html`<td dir="auto">${inlines(cell.tokens, depth)}</td>`)}</tr>`)}</tbody></table></div>`;
    default:
      return html`<p dir="auto">${token.raw}</p>`; // raw HTML too: as text
  }
}

function listItem(item, depth) {
  const mark = item.task ? (item.checked ? "☑ " : "☐ ") : "";
  return html`<li dir="auto">${mark}${depth > DEEPEST ? item.raw : blocks(item.tokens, depth)}</li>`;
}

function inline(token, depth) {
  if (depth > DEEPEST) return token.raw;
  switch (token.type) {
    case "strong":
      return html`<strong>${inlines(token.tokens, depth)}</strong>`;
    case "em":
      return html`<em>${inlines(token.tokens, depth)}</em>`;
    case "del":
      return html`<del>${inlines(token.tokens, depth)}</del>`;
    case "codespan":
      return html`<code>${token.text}</code>`;
    case "br":
      return html`<br />`;
    case "escape":
      return token.text;
    case "link": {
      const href = safeLink(token.href);
      return href
        ? html`<a href=${href} target="_blank" rel="noopener noreferrer" title=${href}>${inlines(token.tokens, depth)}</a>`
        : html`<span>${token.raw}</span>`;
    }
    case "image": {
      const href = safeLink(token.href); // never loaded: a picture from elsewhere would tell somebody that it was read
      return href ? html`<a href=${href} target="_blank" rel="noopener noreferrer" title=${href}>[picture: ${token.text || href}]</a>` : token.raw;
    }
    case "text":
      return token.tokens ? inlines(token.tokens, depth) : unescaped(token);
    default:
      return token.raw;
  }
}

const unescaped = (token) => (token.escaped ? token.raw : token.text);

export function Code({ text, language }) {
  const [box, parts] = useHighlight(text, language);
  const shown = parts ? parts.map(([kind, part]) => (kind ? html`<span class=${kind}>${part}</span>` : part)) : text;
  return html`<div class="code" ref=${box}><div class="code-head"><span>${language || "text"}</span><${Copy} text=${text} label="Copy the code" /></div><pre tabindex="0" dir="ltr">${shown}</pre></div>`;
}
