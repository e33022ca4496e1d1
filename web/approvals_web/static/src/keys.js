// Single keys, which a person can turn off (WCAG 2.1.4). None of them decides: `a` and `d` lead to the forms.
(() => {
  const off = () => localStorage.getItem("keys") === "off";
  const rows = () => [...document.querySelectorAll("ul.queue li.row > a")];
  const move = (step) => {
    const all = rows();
    const at = all.indexOf(document.activeElement);
    all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + step))]?.focus();
  };
  const go = (id) => document.getElementById(id)?.focus();
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    a: () => go(document.getElementById("typed") ? "typed" : "note"),
    d: () => go("reason"),
    x: () => document.activeElement.closest("li.row")?.querySelector("input[type=checkbox]")?.click(),
    "/": () => (document.getElementById("search") ? go("search") : location.assign("/history")),
    "?": () => document.getElementById("keys")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || off()) return;
    if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
    const does = keys[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  });
  const box = document.getElementById("keys-on");
  if (!box) return;
  box.checked = !off();
  box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "on" : "off"));
  document.getElementById("show-keys").hidden = false;
  document.getElementById("show-keys").addEventListener("click", keys["?"]);
})();
