// Single keys, which a person can turn off (WCAG 2.1.4). None of them decides: `a` and `d` lead to the buttons.
(() => {
  const off = () => localStorage.getItem("keys") === "off";
  const rows = () => [...document.querySelectorAll("#queue li.row > a, ul.past li.row > a")];
  const move = (step) => {
    const all = rows();
    const at = all.indexOf(document.activeElement);
    const link = document.getElementById(step > 0 ? "next" : "previous");
    if (at < 0 && document.activeElement.closest?.("#card") && link && !link.hidden) return link.click();
    const open = all.findIndex((row) => row.getAttribute("aria-current"));
    const from = at >= 0 ? at : open >= 0 && document.activeElement.closest?.("#card") ? open : -1;
    all[Math.max(0, Math.min(all.length - 1, from < 0 ? 0 : from + step))]?.focus();
  };
  const go = (id) => document.getElementById(id)?.focus();
  const approve = () => (document.getElementById("typed") ?? document.querySelector("#approve button"))?.focus();
  const deny = () => {
    const panel = document.getElementById("deny-open");
    if (!panel) return;
    panel.open = true;
    go("reason");
  };
  let leading = 0; // `g` waits a moment for the second key
  const places = { q: "/", h: "/history" };
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    o: () => document.activeElement.closest("li.row")?.querySelector("a")?.click(),
    a: approve,
    d: deny,
    u: () => go("undo"),
    x: () => document.activeElement.closest("li.row")?.querySelector("input[type=checkbox]")?.click(),
    g: () => {
      leading = Date.now();
    },
    "/": () => go(document.getElementById("search") ? "search" : "find"),
    "?": () => document.getElementById("keys")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || off()) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
    if (Date.now() - leading < 1500 && places[event.key]) return location.assign(places[event.key]);
    const does = keys[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  const remembered = (id, name, on) => {
    const box = document.getElementById(id);
    if (!box) return;
    box.checked = on(localStorage.getItem(name));
    box.addEventListener("change", () => localStorage.setItem(name, box.checked ? "on" : "off"));
  };
  remembered("keys-on", "keys", (kept) => kept !== "off");
  remembered("stay-on", "stay", (kept) => kept === "on");
  const button = document.getElementById("show-keys");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", keys["?"]);
})();
