// A button that copies, and says that it has. Without HTTPS a page is not given the clipboard: there the old way has to do.
import { html, useState } from "../vendor/preact.js";
import { IconBtn } from "./ui.js";

const SAID_MS = 2000;

function asBefore(text) {
  const field = document.createElement("textarea");
  field.value = text;
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  (before?.closest("dialog") || document.body).append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  before?.focus({ preventScroll: true });
  return done;
}

export function Copy({ text, label = "Copy" }) {
  const [said, say] = useState(/** @type {boolean | null} */ (null));
  const copy = async () => {
    say(await (navigator.clipboard?.writeText(text).then(() => true, () => asBefore(text)) ?? asBefore(text)));
    setTimeout(() => say(null), SAID_MS);
  };
  return html`<${IconBtn} icon=${said === null ? "copy" : said ? "check" : "x"} size="s" label=${said === null ? label : said ? "Copied" : "It could not be copied"} onClick=${copy} />`;
}
