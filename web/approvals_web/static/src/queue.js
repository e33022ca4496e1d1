// The queue: it never moves under a hand, what was decided stays a moment, and the tab says how many wait.
(() => {
  const LEAVING_MS = 10000;
  const queue = () => document.getElementById("queue");
  const ids = (text) => [...text.matchAll(/data-id="([^"]+)"/g)].map((found) => found[1]);
  const waiting = (text) => ids(text.split('id="lately"')[0]);
  let forced = false;
  let kept = []; // rows that were decided elsewhere: [node, index, until]

  const busy = () => {
    const list = queue();
    return list && (list.matches(":hover") || list.contains(document.activeElement) || list.querySelector("input:checked"));
  };

  document.addEventListener("htmx:before:swap", (event) => {
    const list = queue();
    if (!list || event.target.id !== "live") return;
    const known = new Set([...list.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
    const fresh = waiting(event.detail.ctx.text).filter((id) => !known.has(id));
    if (fresh.length && known.size && busy() && !forced) {
      event.preventDefault();
      offer(fresh.length);
      return;
    }
    forced = false;
    offer(0);
    const after = new Set(waiting(event.detail.ctx.text));
    [...list.querySelectorAll(".row")].forEach((row, index) => {
      if (!after.has(row.dataset.id) && !row.classList.contains("leaving")) kept.push([row.dataset.id, index, Date.now() + LEAVING_MS]);
    });
  });

  document.addEventListener("htmx:after:swap", () => {
    const list = queue();
    if (!list) return;
    kept = kept.filter(([, , until]) => until > Date.now());
    for (const [id, index] of kept) {
      const ended = document.querySelector(`#lately [data-id="${CSS.escape(id)}"]`);
      if (!ended || list.querySelector(`.leaving[data-id="${CSS.escape(id)}"]`)) continue;
      const row = ended.cloneNode(true);
      row.classList.add("leaving");
      const rows = list.querySelectorAll(".row");
      const before = rows[Math.min(index, rows.length)];
      if (before) before.before(row);
      else list.append(row);
      setTimeout(() => row.remove(), LEAVING_MS);
    }
    count();
  });

  const offer = (number) => {
    const pill = document.getElementById("fresh");
    if (!pill) return;
    pill.hidden = !number;
    const words = number ? `${number} new` : "";
    if (pill.textContent !== words) pill.textContent = words;
    if (number) notify(number);
  };

  // The number that waits: in the tab's icon, and as a notification where a person asked for it.
  let before = null;
  const count = () => {
    const live = document.getElementById("live");
    if (!live || live.dataset.pending === undefined) return;
    const pending = Number(live.dataset.pending);
    const icon = document.querySelector("link[rel=icon]");
    icon.dataset.plain ??= icon.href;
    icon.href = pending ? `/icon.svg?n=${Math.min(pending, 99)}` : icon.dataset.plain;
    if (before !== null && pending > before) notify(pending - before);
    before = pending;
  };
  const notify = (number) => {
    if (!document.hidden || localStorage.getItem("notify") !== "on" || Notification.permission !== "granted") return;
    new Notification("Approvals", { body: `${number} new to decide`, tag: "approvals" });
  };

  document.addEventListener("click", async (event) => {
    if (event.target.id === "fresh") {
      forced = true;
      document.body.dispatchEvent(new CustomEvent("approvals-changed"));
    }
    if (event.target.id === "notify") {
      const on = localStorage.getItem("notify") === "on";
      if (!on && (await Notification.requestPermission()) !== "granted") return;
      localStorage.setItem("notify", on ? "off" : "on");
      label();
    }
  });
  const label = () => {
    const button = document.getElementById("notify");
    if (!button || !("Notification" in window)) return;
    button.hidden = false;
    button.textContent = localStorage.getItem("notify") === "on" ? "Notifications are on" : "Notify me of new ones";
  };
  document.addEventListener("htmx:after:swap", label);
  count();
  label();
})();
