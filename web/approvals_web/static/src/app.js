// How long the card was looked at goes into the decision's evidence; counted anew for each card that is opened.
(() => {
  let opened = performance.now();
  approvals.look = () => {
    opened = performance.now();
  };
  document.addEventListener(
    "submit",
    (event) => {
      const field = event.target.querySelector("[name=looked_ms]");
      if (field) field.value = Math.round(performance.now() - opened);
    },
    true,
  );
})();

// The connection: offline, lost, or back. Every form stays where it is; the browser's own error page would be all that is
// left of it.
(() => {
  const banner = document.querySelector(".banner.offline");
  approvals.connected = approvals.cut = () => {};
  if (!banner) return;
  const PATIENCE_MS = 3000;
  const LONG_MS = 60000;
  const WORDS = banner.textContent;
  let timer = null;
  let since = 0;
  const show = () => {
    document.body.classList.toggle("offline", !navigator.onLine);
    document.body.classList.toggle("cut", Boolean(since) && Date.now() - since > PATIENCE_MS);
    const at = new Date(since).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const lost = Date.now() - since > LONG_MS ? `The service cannot be reached since ${at}. Nothing can be decided here until it is back.` : "Reconnecting… What you see may be old.";
    const words = navigator.onLine && since ? lost : WORDS;
    if (banner.textContent !== words) banner.textContent = words;
  };
  approvals.cut = (when) => {
    since = when;
    timer ??= setInterval(show, 1000);
  };
  approvals.connected = () => {
    clearInterval(timer);
    timer = null;
    since = 0;
    show();
    approvals.say("Connected again.");
  };
  window.addEventListener("offline", show);
  window.addEventListener("online", () => {
    show();
    approvals.refresh?.();
  });
  document.addEventListener(
    "submit",
    (event) => {
      if (navigator.onLine || event.target.method === "dialog") return;
      event.preventDefault();
      event.stopImmediatePropagation();
      document.body.classList.add("offline");
      banner.textContent = "You are offline: nothing was sent. Try again when you are back.";
      banner.scrollIntoView({ block: "nearest" });
    },
    true,
  );
})();

// Menus close by a click beside them and by Escape, one at a time.
(() => {
  const open = () => [...document.querySelectorAll("details.menu[open]")];
  document.addEventListener("click", (event) => {
    for (const menu of open()) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of open()) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
})();
