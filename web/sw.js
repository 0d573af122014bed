// Keeps the files of this version of the page, so that it works offline. The build writes the list of files.
//
// Each file is kept under the checksum of its content. So a new version fetches only the files that changed, and
// refuses a file of another version. A new version waits until no page of the old one is open.

const FILES = {}; // path → SHA-256

const CACHE = "sumnist";
const keyOf = (path) => new URL(`${path}?${FILES[path]}`, registration.scope).href;

addEventListener("install", (event) => event.waitUntil(keep()));
addEventListener("activate", (event) => event.waitUntil(Promise.all([tidy(), clients.claim()])));
addEventListener("fetch", (event) => {
  const { origin, pathname, href } = new URL(event.request.url);
  const scope = new URL(registration.scope);
  const path = pathname.slice(scope.pathname.length) || "index.html";
  if (origin !== scope.origin || !href.startsWith(scope.href) || !(path in FILES)) return;
  event.respondWith(kept(path, event.request));
});

async function keep() {
  const cache = await caches.open(CACHE);
  for (const [path, checksum] of Object.entries(FILES)) {
    if (await cache.match(keyOf(path))) continue;
    const response = await fetch(new URL(path, registration.scope), { cache: "no-cache" });
    const content = await response.clone().arrayBuffer();
    const found = await crypto.subtle.digest("SHA-256", content);
    const hex = [...new Uint8Array(found)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (!response.ok || hex !== checksum) throw new Error(`${path}: not of this version`);
    await cache.put(keyOf(path), response);
  }
}

async function tidy() {
  const cache = await caches.open(CACHE);
  const wanted = new Set(Object.keys(FILES).map(keyOf));
  for (const { url } of await cache.keys()) if (!wanted.has(url)) await cache.delete(url);
}

async function kept(path, request) {
  const cache = await caches.open(CACHE);
  return (await cache.match(keyOf(path))) ?? fetch(request);
}
