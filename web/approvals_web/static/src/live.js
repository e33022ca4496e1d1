// One event stream for all of this browser's tabs: whoever holds the lock listens and tells the others. A poke says only
// that something changed; each page asks for its own part again, and the server checks who asks.
(() => {
  if (!document.querySelector("[data-live]")) return;
  const changed = () => document.body.dispatchEvent(new CustomEvent("approvals-changed"));
  const channel = new BroadcastChannel("approvals");
  channel.onmessage = changed;
  const listen = () =>
    new Promise(() => {
      const stream = new EventSource("/events");
      stream.addEventListener("poke", () => {
        changed();
        channel.postMessage("poke");
      });
      stream.addEventListener("open", () => {
        changed();
        channel.postMessage("poke");
      });
    });
  if (navigator.locks) navigator.locks.request("approvals-events", listen);
  else listen();
  setInterval(changed, 30000);
})();
