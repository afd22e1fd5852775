// The shell without the server: pages network first, files of this version from the cache, the API never. And what is pushed: each
// push is shown, its buttons answer through the API, and an answer that comes too late says who was first.
const CACHE = "pilotlight-%VERSION%";
const DEVICE = "pilotlight-device"; // as which recipient this browser is told, and how often something waited
const SHELL = ["/", %SHELL%];

self.addEventListener("install", (event) => {
  const get = (path) => new Request(path, { headers: { Accept: path === "/" ? "text/html" : "*/*" } });
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL.map(get))));
});

self.addEventListener("activate", (event) => {
  const drop = (names) => Promise.all(names.filter((name) => ![CACHE, DEVICE, "pilotlight-offline"].includes(name)).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(drop).then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
  if (event.data?.recipient !== undefined) event.waitUntil(remember(event.data.recipient));
});

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== self.location.origin) return;
  if (url.pathname === "/" && event.request.mode === "navigate") {
    event.respondWith(fetch(event.request).catch(() => caches.match("/", { ignoreVary: true })));
  } else if (url.pathname.startsWith("/static/")) {
    event.respondWith(fromCache(event.request));
  }
});

async function fromCache(request) {
  const kept = await caches.match(request, { ignoreVary: true });
  if (kept) return kept;
  const fresh = await fetch(request);
  if (fresh.ok && request.url.includes("/%VERSION%/")) (await caches.open(CACHE)).put(request, fresh.clone());
  return fresh;
}

// -- what is pushed --------------------------------------------------------------------------------------------------------

const WITHDRAWN_MS = 4000; // a browser wants every push shown; what needs nobody any more goes by itself
const MOST_ACTIONS = self.Notification?.maxActions ?? 2;

self.addEventListener("push", (event) => event.waitUntil(told(noteOf(event.data))));
self.addEventListener("notificationclick", (event) => {
  const { notification, action } = event;
  notification.close();
  const note = notification.data || {};
  const work = action && note.session ? act(note, action) : open(note);
  if (event.isTrusted) event.waitUntil(work);
});
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(subscribeAgain(event)));

function noteOf(data) {
  try {
    const note = data.json();
    if (note && typeof note.title === "string") return note;
  } catch {
    // nothing in it, or not ours: it is shown all the same
  }
  return { title: "Something has happened", body: "Open pilotlight to see what.", tag: "unknown", kind: "unknown" };
}

async function told(note) {
  await tell(note, "received");
  await show(note);
  await tell(note, "shown");
  if (typeof note.badge === "number") badge(note.badge);
  if (!note.withdrawn) return;
  await new Promise((done) => setTimeout(done, WITHDRAWN_MS));
  for (const shown of await self.registration.getNotifications({ tag: note.tag })) if (shown.data?.withdrawn) shown.close();
}

function show(note) {
  const asks = Boolean(note.waiting) && !note.withdrawn;
  const choices = note.withdrawn ? [] : note.choices || [];
  return self.registration.showNotification(note.title, {
    body: note.body || "",
    tag: note.tag,
    data: note,
    timestamp: note.at || Date.now(),
    icon: "/static/%VERSION%/icon-192.png",
    badge: "/static/%VERSION%/icon-192.png",
    silent: Boolean(note.withdrawn),
    renotify: Boolean(note.tag) && !note.withdrawn && note.urgency === "high",
    requireInteraction: asks,
    actions: choices.slice(0, MOST_ACTIONS).map(({ id, label }) => ({ action: id, title: label })),
  });
}

function badge(count) {
  const done = count ? self.navigator.setAppBadge?.(count) : self.navigator.clearAppBadge?.();
  done?.catch(() => {});
}

// A button: the answer itself, under a key, so that a second touch is the same answer. What could not be done is said in its place.
async function act(note, choice) {
  const extend = choice === "extend";
  const path = extend ? "/api/sessions/keep-alive" : `/api/sessions/${encodeURIComponent(note.session)}/answer`;
  const body = extend ? { sessionId: note.session, action: "extend" } : { waitingId: note.waiting, choice };
  let problem;
  try {
    const answer = await post(path, body, `${note.key}.${choice}`);
    if (answer.ok) return;
    problem = await answer.json().catch(() => ({}));
    problem.status = answer.status;
  } catch {
    problem = { status: 0 };
  }
  const stale = problem.status === 409;
  await show({
    ...note,
    title: stale ? "Answered already" : "That was not sent",
    body: problem.error || (problem.status === 401 ? "Sign in again, and answer there." : "pilotlight cannot be reached. Try again."),
    choices: problem.status === 0 ? note.choices : [],
    waiting: problem.status === 0 ? note.waiting : null,
  });
}

async function open(note) {
  const path = note.session ? `/${note.waiting ? "attention" : "session"}/${note.session}` : note.kind === "test" ? "/settings" : "/attention";
  const windows = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  const one = windows.find((client) => new URL(client.url).pathname === "/");
  if (!one) return self.clients.openWindow(`/#${path}`);
  one.postMessage({ go: path });
  return one.focus();
}

// -- as whom ---------------------------------------------------------------------------------------------------------------

async function remember(recipient) {
  const kept = await caches.open(DEVICE);
  await (recipient ? kept.put("/recipient", new Response(recipient)) : kept.delete("/recipient"));
}

async function recipient() {
  const kept = await caches.match("/recipient", { cacheName: DEVICE });
  return kept ? kept.text() : null;
}

async function tell(note, step) {
  const id = await recipient();
  if (!id || !note.key) return;
  await post(`/api/recipients/${encodeURIComponent(id)}/receipts`, { key: note.key, step }).catch(() => {});
}

async function subscribeAgain(event) {
  const key = event.oldSubscription?.options.applicationServerKey;
  const fresh = event.newSubscription || (key && (await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key })));
  if (!fresh) return;
  const answer = await post("/api/recipients", { kind: "webpush", name: "This browser", target: fresh.toJSON() });
  if (answer.ok) await remember((await answer.json()).recipient.id);
}

function post(path, body, key) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-Pilotlight": "1", ...(key ? { "Idempotency-Key": key } : {}) };
  return fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" });
}
