// Colours for code, late: when it has come into view and has not changed for a moment, a worker cuts it into parts. Until then, above
// a bound, in a language that is not known, and where there is no worker, it is plain.
import { useEffect, useRef, useState } from "../vendor/preact.js";
import { HIGHLIGHTER, trustedScript } from "./ui.js";

const LONGEST = 200000;
const PAUSE_MS = 300;
const KEPT = 100;

/** @type {Map<number, (parts?: [string, string][] | null) => void>} */
const asked = new Map();
/** @type {Map<string, [string, string][] | null>} */
const known = new Map(); // those of late, by language and text
let worker = null;
let count = 0;

function ask(text, language) {
  if (!worker) {
    worker = new Worker(trustedScript(HIGHLIGHTER), { type: "module" });
    worker.onmessage = ({ data }) => {
      asked.get(data.id)?.(data.parts);
      asked.delete(data.id);
    };
    worker.onerror = () => {
      worker = null; // it could not be fetched: the next one is tried anew
      for (const done of asked.values()) done(undefined);
      asked.clear();
    };
  }
  const id = ++count;
  worker.postMessage({ id, text, language });
  return new Promise((resolve) => asked.set(id, resolve));
}

async function cut(key, text, language) {
  const parts = await ask(text, language);
  if (parts === undefined) return null;
  known.set(key, parts);
  if (known.size > KEPT) known.delete(known.keys().next().value);
  return parts;
}

/**
 * The element that is looked at, and the parts of the text, [kind, text], once they are known.
 * @param {string} text
 * @param {string} language
 * @returns {[import("../vendor/preact.js").Ref<HTMLElement>, [string, string][] | null]}
 */
export function useHighlight(text, language) {
  const box = useRef(/** @type {HTMLElement} */ (null));
  const key = `${language}\n${text}`;
  const [made, setMade] = useState({ key: "", parts: null });
  useEffect(() => {
    if (!language || !self.Worker || text.length > LONGEST || known.has(key)) return undefined;
    let timer = 0;
    let here = true;
    const seen = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      timer = setTimeout(() => cut(key, text, language).then((parts) => here && setMade({ key, parts })), PAUSE_MS);
    });
    seen.observe(box.current);
    return () => {
      here = false;
      clearTimeout(timer);
      seen.disconnect();
    };
  }, [key]);
  return [box, made.key === key ? made.parts : known.get(key) || null];
}
