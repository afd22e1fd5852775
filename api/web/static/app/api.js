// Calls of the public HTTP API. What must not regress: nothing is done twice (an act has a key, and a retry after silence has the
// same one), and a refusal is an error with the server's own sentence.
import { signal } from "../vendor/preact.js";

/**
 * @typedef {{headers?: Record<string, string>, key?: string, patience?: number}} Options
 * @typedef {{status: number, code: string, retryable: boolean, data: Record<string, any>, message: string}} Refusal
 */

export const signedOut = signal(false);
/** @type {Signal<{since: number, why: string, what: "server" | "supervisor"} | null>} */
export const away = signal(null); // since when the supervisor or the server does not answer, and why

export class Problem extends Error {
  constructor(status, body) {
    super(body.error || "The server did not answer.");
    this.status = status;
    this.code = body.code || "unreachable";
    this.retryable = Boolean(body.retryable);
    this.data = body.data || {};
    this.body = body;
  }
}

const SILENCE_MS = 40000;

/**
 * @param {string} method
 * @param {string} path
 * @param {any} [body]
 * @param {Options} [options]
 * @returns {Promise<any>}
 */
export async function call(method, path, body, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json", "X-Pilotlight": "1", ...options.headers };
  if (method !== "GET") headers["Idempotency-Key"] = options.key || newKey();
  let payload;
  if (body instanceof FormData) payload = body;
  else if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    payload = JSON.stringify(body || {});
  }
  let answer;
  try {
    const patience = AbortSignal.timeout(options.patience || SILENCE_MS);
    answer = await fetch(path, { method, headers, body: payload, signal: patience, credentials: "same-origin" });
  } catch (error) {
    unreachable("The server cannot be reached.");
    throw new Problem(0, { error: "The server cannot be reached.", code: "unreachable", retryable: true });
  }
  const text = await answer.text();
  const tree = parsed(text);
  if (answer.ok) {
    if (!path.startsWith("/api/me")) reachable(); // the supervisor has answered
    else if (away.value && away.value.what === "server") away.value = null;
    return tree;
  }
  if (answer.status === 401 && path !== "/api/sign-in") signedOut.value = true;
  // A health that is bad is told with 503, too, but without an error: the supervisor has answered then.
  if (answer.status === 503 && tree.error && tree.code !== "too_many_streams") unreachable(tree.error, "supervisor");
  throw new Problem(answer.status, tree);
}

/** @type {<Path extends string>(path: Path, options?: Options) => Promise<Answer<"GET", Path>>} */
export const get = (path, options) => call("GET", path, undefined, options);
/** @type {<Path extends string>(path: Path, body?: any, options?: Options) => Promise<Answer<"POST", Path>>} */
export const post = (path, body, options) => call("POST", path, body, options);
/** @type {<Path extends string>(path: Path, body?: any, options?: Options) => Promise<Answer<"PATCH", Path>>} */
export const patch = (path, body, options) => call("PATCH", path, body, options);
/** @type {<Path extends string>(path: Path, options?: Options) => Promise<Answer<"DELETE", Path>>} */
export const del = (path, options) => call("DELETE", path, {}, options);
/** @type {<Path extends string>(path: Path, body?: any, options?: Options) => Promise<Answer<"PUT", Path>>} */
export const put = (path, body, options) => call("PUT", path, body, options);

export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {string} why
 * @param {"server" | "supervisor"} what
 */
export function unreachable(why, what = "server") {
  if (!away.value || away.value.what !== what) away.value = { since: Date.now(), why, what };
}

export function reachable() {
  if (away.value) away.value = null;
}

function parsed(text) {
  try {
    return JSON.parse(text) || {};
  } catch {
    return {};
  }
}
