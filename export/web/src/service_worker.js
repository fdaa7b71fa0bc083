// What the page has kept is for when there is no network: with one, everything is as new as it is.
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  event.respondWith(
    fetch(event.request).catch(
      async (error) =>
        (await caches.match(event.request, { ignoreSearch: true })) ?? Promise.reject(error),
    ),
  );
});
