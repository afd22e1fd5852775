// A worker: cuts code into parts that have a colour, beside the page and not in its way. What highlight.js finds comes as a list of
// parts and never as markup; a piece with very many parts is coloured as far as a page can bear.
import hljs from "../vendor/highlight.js";

const MOST_PARTS = 5000;
const KIND = {
  keyword: "k1", literal: "k1", tag: "k1", bullet: "k1", "selector-tag": "k1", deletion: "k1", operator: "k1", "template-tag": "k1",
  string: "k2", regexp: "k2", symbol: "k2", char: "k2", link: "k2", code: "k2", addition: "k2",
  title: "k3", class: "k3", built_in: "k3", type: "k3", attr: "k3", attribute: "k3", name: "k3", property: "k3", section: "k3",
  variable: "k3", "template-variable": "k3", "selector-id": "k3", "selector-class": "k3", "selector-attr": "k3", "selector-pseudo": "k3",
  number: "k4", comment: "k5", quote: "k5", doctag: "k5", meta: "k5", subst: "",
};

// What highlight.js tells as it reads, in the place of its own maker of HTML.
class Parts {
  constructor() {
    this.list = [];
    this.open = [""];
  }

  addText(text) {
    this.add(this.open.at(-1), text);
  }

  startScope(scope) {
    this.open.push(KIND[scope] ?? KIND[scope.split(".")[0]] ?? this.open.at(-1));
  }

  endScope() {
    if (this.open.length > 1) this.open.pop();
  }

  // The names of the same two of old, which it still uses beside them.
  openNode(scope) {
    this.startScope(scope);
  }

  closeNode() {
    this.endScope();
  }

  __addSublanguage(inner) {
    for (const [kind, text] of inner.list) this.add(kind || this.open.at(-1), text);
  }

  add(kind, text) {
    if (!text) return;
    const last = this.list.at(-1);
    if (last && (last[0] === kind || this.list.length === MOST_PARTS)) last[1] += text;
    else this.list.push([this.list.length === MOST_PARTS - 1 ? "" : kind, text]);
  }

  finalize() {}

  closeAllNodes() {}

  toHTML() {
    return "";
  }
}

hljs.configure({ __emitter: Parts });

self.onmessage = ({ data: { id, text, language } }) => {
  let parts = null;
  try {
    if (hljs.getLanguage(language)) parts = hljs.highlight(text, { language, ignoreIllegals: true })._emitter.list;
  } catch {
    // then it stays as it is
  }
  // Colours must not change a character, whatever highlight.js has met.
  if (parts && parts.map(([, part]) => part).join("") !== text) parts = null;
  self.postMessage({ id, parts });
};
