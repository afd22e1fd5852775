// This browser as one that is told: its subscription, made again at every start, since push services change them; whether somebody
// looks; and the badge, which is what waits. Nothing here asks for permission by itself: that is a touch in the settings.
import { effect, signal } from "../vendor/preact.js";
import { del, get, post } from "./api.js";
import { loaded, may, me, waiting } from "./store.js";

const PRESENCE_MS = 60000;
export const recipient = signal(null); // as whom this browser is told
export const obstacle = signal(undefined); // why it cannot be, null when it can; undefined before anybody looked

const bytesOf = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (mark) => mark.charCodeAt(0));
const same = (a, b) => a && a.byteLength === b.byteLength && new Uint8Array(a).every((byte, at) => byte === b[at]);

// In words, what stands in the way here; null when nothing does.
function barrier() {
  if (!isSecureContext) return "Push needs HTTPS, or this very machine. “pilotlight doctor” says how to get it.";
  if (!("serviceWorker" in navigator)) return "This browser has no service workers.";
  if (!("PushManager" in self) || !("Notification" in self)) {
    const apple = /iPhone|iPad/.test(navigator.userAgent);
    return apple ? "On an iPhone, add pilotlight to the home screen first, and open it there." : "This browser cannot be pushed to.";
  }
  if (Notification.permission === "denied") return "Notifications of this page are blocked in the browser’s settings.";
  return null;
}

export async function look() {
  obstacle.value = barrier();
  if (obstacle.value) return;
  const registration = await navigator.serviceWorker.ready;
  const kept = await registration.pushManager.getSubscription();
  if (kept && Notification.permission === "granted") await register(kept).catch((error) => (obstacle.value = error.message));
}

// A touch: permission, a subscription under the server's present key, and its registration. Raises what the server refuses.
export async function subscribe() {
  const { publicKey } = await get("/api/notifications/key");
  if ((await Notification.requestPermission()) !== "granted") {
    obstacle.value = barrier();
    throw new Error("The browser was not allowed to show notifications.");
  }
  const registration = await navigator.serviceWorker.ready;
  const key = bytesOf(publicKey);
  const kept = await registration.pushManager.getSubscription();
  if (kept && !same(kept.options.applicationServerKey, key)) await kept.unsubscribe();
  await register(await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key }));
}

async function register(subscription) {
  const name = me.value?.device?.name || "This browser";
  const answer = await post("/api/recipients", { kind: "webpush", name, target: subscription.toJSON() });
  recipient.value = answer.recipient;
  await tellWorker(answer.recipient.id);
  presence();
}

export async function unsubscribe() {
  const registration = await navigator.serviceWorker.ready;
  const kept = await registration.pushManager.getSubscription();
  if (recipient.value) await del(`/api/recipients/${recipient.value.id}`);
  if (kept) await kept.unsubscribe();
  recipient.value = null;
  await tellWorker(null);
}

async function tellWorker(id) {
  const registration = await navigator.serviceWorker.ready;
  registration.active?.postMessage({ recipient: id });
}

// Somebody looks, every minute while the window is in front, and once when it is not any more.
let ticking = 0;
function presence() {
  clearTimeout(ticking);
  if (!recipient.value) return;
  const present = document.visibilityState === "visible" && document.hasFocus();
  post(`/api/recipients/${recipient.value.id}/presence`, { present }).catch(() => {});
  if (present) ticking = setTimeout(presence, PRESENCE_MS);
}

export function begin() {
  for (const name of ["focus", "blur"]) addEventListener(name, presence);
  document.addEventListener("visibilitychange", presence);
  let shown = -1;
  effect(() => {
    const count = waiting.value.length;
    if (!loaded.value || count === shown) return;
    shown = count;
    const done = count ? navigator.setAppBadge?.(count) : navigator.clearAppBadge?.();
    done?.catch(() => {});
  });
  navigator.serviceWorker?.addEventListener("message", ({ data }) => {
    if (data?.go) location.hash = data.go;
  });
  if (may("read")) look().catch(() => {});
}
