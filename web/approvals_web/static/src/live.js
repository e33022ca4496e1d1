// One event stream for all of this browser's tabs: whoever holds the lock listens and tells the others. A poke says only
// that something changed; each page asks for its own part again, and the server checks who asks.
(() => {
  if (!document.querySelector("#live, #frozen")) return;
  const changed = () => document.body.dispatchEvent(new CustomEvent("approvals-changed"));
  const channel = new BroadcastChannel("approvals");
  channel.onmessage = changed;
  const tell = () => {
    changed();
    channel.postMessage("poke");
  };
  const follow = () => {
    const stream = new EventSource("/events");
    stream.addEventListener("poke", tell);
    stream.addEventListener("open", tell);
    stream.addEventListener("error", () => {
      // The browser reconnects by itself, but not after an HTTP error (a proxy's 502 while the service restarts).
      if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
    });
  };
  const listen = () => new Promise(follow);
  // The server knows neither the tab's title nor which details a person has opened.
  let open = [];
  const details = () => [...document.querySelectorAll("#live details")];
  document.addEventListener("htmx:before:swap", () => {
    open = details().map((one) => one.open);
  });
  document.addEventListener("htmx:after:swap", () => {
    details().forEach((one, i) => {
      if (open[i]) one.open = true;
    });
    const live = document.querySelector("#live");
    if (live) document.title = live.dataset.title;
  });
  if (navigator.locks) navigator.locks.request("approvals-events", listen);
  else listen();
  setInterval(changed, 30000);
})();
