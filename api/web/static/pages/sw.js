// The shell without the server: pages network first, files of this version from the cache, the API never.
const CACHE = "pilotlight-%VERSION%";
const SHELL = ["/", %SHELL%];

self.addEventListener("install", (event) => {
  const get = (path) => new Request(path, { headers: { Accept: path === "/" ? "text/html" : "*/*" } });
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(SHELL.map(get))));
});

self.addEventListener("activate", (event) => {
  const drop = (names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(drop).then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") self.skipWaiting();
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
