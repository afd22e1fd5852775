// The ends of the last conversations that were read, for when pilotlight is out of reach, if the owner of this device has switched
// that on. Signing out, being signed out, or another sign-in forgets them (`forget` of store.js).
import { signedOut } from "./api.js";
import { keeps, NAME } from "./store.js";

const MOST = 12;
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
