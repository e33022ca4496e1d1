// One event stream for all of this browser's tabs: whoever holds the lock listens and tells the others. A poke says only
// that something changed; each page asks for its own parts again, and the server checks who asks.
(() => {
  if (!document.querySelector("[data-live]")) return;
  const changed = () => {
    for (const part of document.querySelectorAll("[data-live]"))
      if (part.checkVisibility() || part.id === "frozen") htmx.trigger(part, "approvals-changed");
  };
  approvals.refresh = changed;
  const channel = new BroadcastChannel("approvals");
  const mark = document.documentElement.dataset.mark;
  let lost = 0;
  const heard = () => {
    if (!lost) return;
    lost = 0;
    approvals.connected();
  };
  const cut = () => {
    lost ||= Date.now();
    approvals.cut(lost);
  };
  const apply = { poke: changed, open: heard, error: cut };
  channel.onmessage = ({ data }) => apply[data]?.();
  const tell = (what) => {
    apply[what]();
    channel.postMessage(what);
  };
  const follow = () => {
    const stream = new EventSource("/events");
    stream.addEventListener("poke", () => tell("poke"));
    stream.addEventListener("open", () => tell("open"));
    stream.addEventListener("hello", ({ data }) => {
      if (data !== mark) tell("poke"); // something changed between the page, or the stream before, and this one
    });
    stream.addEventListener("error", () => {
      tell("error");
      // The browser reconnects by itself, but not after an HTTP error (a proxy's 502 while the service restarts).
      if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
    });
  };
  const listen = () => new Promise(follow);
  // The server knows neither the tab's title nor which details a person has opened.
  let open = new Map();
  const details = () => [...document.querySelectorAll("[data-live] details")];
  const name = (one, i) => one.id || one.querySelector("summary")?.textContent || i;
  document.addEventListener("htmx:before:swap", () => {
    open = new Map(details().map((one, i) => [name(one, i), one.open]));
  });
  document.addEventListener("htmx:after:swap", () => {
    details().forEach((one, i) => {
      const was = open.get(name(one, i));
      if (was && !one.open && !approvals.moved) one.open = true;
      if (was === false && one.open && one.classList.contains("run")) one.open = false;
    });
    approvals.moved = false;
    const of = document.body.classList.contains("at-list") ? "#list" : "#card, #live";
    const live = document.querySelector(`:is(${of})[data-title]`);
    if (live) document.title = live.dataset.title;
  });
  if (navigator.locks) navigator.locks.request("approvals-events", listen);
  else listen();
  setInterval(changed, 30000);
  // What nothing pokes for: a gate that comes for the first time.
  setInterval(() => {
    for (const part of document.querySelectorAll("[data-eager]")) if (!document.hidden) htmx.trigger(part, "approvals-changed");
  }, 2000);
})();
