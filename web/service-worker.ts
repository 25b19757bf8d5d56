/** The service worker of the page as a text: it keeps the files of one build, and answers with them. */

/**
 * A worker that keeps `files` when it is installed and whatever else of the page is loaded later, under `version`; older versions
 * are dropped. What it answers carries `headers`, which a server of static files may not send.
 */
export const serviceWorker = (
  files: ReadonlyArray<string>,
  version: string,
  headers: Readonly<Record<string, string>>,
): string => `
const version = ${JSON.stringify(`chasec-${version}`)}
const files = ${JSON.stringify(files)}
const headers = ${JSON.stringify(headers)}

addEventListener('install', (event) => {
  event.waitUntil(caches.open(version).then((cache) => cache.addAll(files)).then(() => skipWaiting()))
})

addEventListener('activate', (event) => {
  const old = caches.keys().then((names) => Promise.all(names.filter((name) => name !== version).map((name) => caches.delete(name))))
  event.waitUntil(old.then(() => clients.claim()))
})

const guarded = (response) => {
  if (response.status !== 200) return response
  const all = new Headers(response.headers)
  for (const [name, value] of Object.entries(headers)) all.set(name, value)
  return new Response(response.body, { status: 200, headers: all })
}

const answer = async (request) => {
  const cache = await caches.open(version)
  const kept = await cache.match(request, { ignoreSearch: true, ignoreVary: true })
  if (kept) return guarded(kept)
  const response = await fetch(request)
  if (response.ok) await cache.put(request, response.clone())
  return guarded(response)
}

addEventListener('fetch', (event) => {
  const { method, url } = event.request
  if (method === 'GET' && new URL(url).origin === location.origin) event.respondWith(answer(event.request))
})
`
