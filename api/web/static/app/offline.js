// What this device can still show when pilotlight is out of reach: the last list, without words; and the ends of the last twelve
// conversations, if the owner of the device has switched that on. Signing out, or being signed out, forgets all of it.
import { signedOut } from "./api.js";

const NAME = "pilotlight-offline";
const LIST = "sessions";
const MOST = 12;
const PAUSE_MS = 10000;
const SHOWN = ["id", "title", "state", "projectPath", "createdAt", "lastActivity", "messageCount", "queueLength", "endedAt", "endReason", "expiresAt", "seenAt"];

export const keeps = () => localStorage.getItem("offline") === "on";

export function setKeeps(on) {
  localStorage.setItem("offline", on ? "on" : "off");
  if (!on) self.caches?.delete(NAME);
}

let kept = 0;
/** @param {Map<string, Session>} sessions */
export function keepList(sessions) {
  if (Date.now() - kept < PAUSE_MS) return;
  kept = Date.now();
  const keep = () => {
    const slim = [...sessions.values()].map((one) => Object.fromEntries(SHOWN.map((name) => [name, one[name]])));
    try {
      if (!signedOut.value) localStorage.setItem(LIST, JSON.stringify({ at: kept, sessions: slim }));
    } catch {
      // no room: then there is nothing to show without a connection
    }
  };
  if (self.requestIdleCallback) requestIdleCallback(keep, { timeout: 2000 });
  else setTimeout(keep, 0);
}

// { at, sessions } as they were last known, or null.
export function lastList() {
  try {
    return JSON.parse(localStorage.getItem(LIST));
  } catch {
    return null;
  }
}

const address = (id) => `/offline/${encodeURIComponent(id)}`;

export async function keepTalk(id, entries) {
  if (!keeps() || !self.caches) return;
  const cache = await caches.open(NAME);
  await cache.delete(address(id));
  await cache.put(address(id), new Response(JSON.stringify({ at: Date.now(), entries })));
  const all = await cache.keys();
  for (const old of all.slice(0, Math.max(0, all.length - MOST))) await cache.delete(old);
  if (!keeps() || signedOut.value) await caches.delete(NAME); // forbidden meanwhile
}

export async function lastTalk(id) {
  const found = self.caches && (await caches.match(address(id), { cacheName: NAME }));
  return found ? found.json() : null;
}

export function forget() {
  localStorage.removeItem(LIST);
  self.caches?.delete(NAME);
}
