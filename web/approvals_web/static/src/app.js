// How long the card was looked at goes into the decision's evidence.
(() => {
  const opened = performance.now();
  document.addEventListener("submit", (event) => {
    const field = event.target.querySelector("[name=looked_ms]");
    if (field) field.value = Math.round(performance.now() - opened);
  });
})();

// Offline: say so, and keep every form where it is. The browser's own error page would be all that is left of it.
(() => {
  const banner = document.querySelector(".banner.offline");
  if (!banner) return;
  const words = banner.textContent;
  const show = () => {
    document.body.classList.toggle("offline", !navigator.onLine);
    banner.textContent = words;
    if (navigator.onLine) document.body.dispatchEvent(new CustomEvent("approvals-changed"));
  };
  window.addEventListener("offline", show);
  window.addEventListener("online", show);
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
