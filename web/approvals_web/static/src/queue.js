// The list: it never moves under a hand, what was decided stays a moment, and the tab says how many wait.
(() => {
  const LEAVING_MS = 10000;
  const SAID_EVERY_MS = 10000;
  const queue = () => document.getElementById("queue");
  const ids = (text) => [...text.matchAll(/data-id="([^"]+)"/g)].map((found) => found[1]);
  const waiting = (text) => ids(text.split('id="lately"')[0]);
  let forced = false;
  let kept = []; // rows that were decided elsewhere: [id, index, until]

  const busy = () => {
    const list = queue();
    return list && (list.matches(":hover") || list.contains(document.activeElement) || list.querySelector("input:checked"));
  };

  document.addEventListener("htmx:before:swap", (event) => {
    const list = queue();
    if (!list || event.detail.ctx.target?.id !== "list") return;
    const known = new Set([...list.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
    const text = event.detail.ctx.text;
    const fresh = waiting(text).filter((id) => !known.has(id));
    if (fresh.length && known.size && busy() && !forced) {
      event.preventDefault();
      offer(fresh.length);
      return;
    }
    if (fresh.length) announce(fresh, text);
    forced = false;
    offer(0);
    const after = new Set(waiting(text));
    [...list.querySelectorAll(".row")].forEach((row, index) => {
      if (!after.has(row.dataset.id) && !row.classList.contains("leaving")) kept.push([row.dataset.id, index, Date.now() + LEAVING_MS]);
    });
    scrolled = document.querySelector(".list .rows")?.scrollTop ?? 0;
  });
  let scrolled = 0;

  document.addEventListener("htmx:after:swap", (event) => {
    const list = queue();
    if (!list) return;
    kept = kept.filter(([, , until]) => until > Date.now());
    for (const [id, index] of kept) {
      const ended = document.querySelector(`#lately [data-id="${CSS.escape(id)}"]`);
      if (!ended || list.querySelector(`.leaving[data-id="${CSS.escape(id)}"]`)) continue;
      const row = ended.cloneNode(true);
      row.classList.add("leaving");
      const all = list.querySelectorAll(".row");
      const before = all[Math.min(index, all.length)];
      if (before) before.before(row);
      else list.append(row);
      setTimeout(() => row.remove(), LEAVING_MS);
    }
    if (event.detail.ctx?.target?.id === "list") document.querySelector(".list .rows")?.scrollTo(0, scrolled);
    count();
    selection();
    label();
  });

  const offer = (number) => {
    const pill = document.getElementById("fresh");
    if (!pill) return;
    pill.hidden = !number;
    const words = number ? `↑ ${number} new ${number === 1 ? "request" : "requests"}` : "";
    if (pill.textContent === words) return;
    pill.textContent = words;
    if (number) notify(number);
  };
  // One sentence for screen readers, not a list read out again.
  let said = 0;
  const announce = (fresh, text) => {
    if (Date.now() - said < SAID_EVERY_MS) return;
    said = Date.now();
    const critical = fresh.filter((id) => text.split(`data-id="${id}"`)[1]?.slice(0, 900).includes("risk-critical")).length;
    approvals.say(`${fresh.length} new ${fresh.length === 1 ? "request" : "requests"}${critical ? `, ${critical} critical` : ""}.`);
  };

  // Several at once: alike they are reviewed together, others kind by kind; the selection stays.
  const SELECTED = "selected"; // outlives a look at some of them
  const selected = () => new Set(JSON.parse(sessionStorage.getItem(SELECTED) ?? "[]"));
  const choose = () => {
    const chosen = selected();
    for (const box of queue()?.querySelectorAll("[name=id]") ?? []) box.checked = chosen.has(box.value);
  };
  const keep = () => {
    const chosen = selected();
    for (const box of queue().querySelectorAll("[name=id]")) chosen[box.checked ? "add" : "delete"](box.value);
    sessionStorage.setItem(SELECTED, JSON.stringify([...chosen].slice(-200)));
  };
  const selection = () => {
    const bar = document.getElementById("bulk");
    if (!bar) return;
    choose();
    const chosen = [...queue().querySelectorAll("input:checked")];
    bar.hidden = !chosen.length;
    queue().classList.toggle("picking", chosen.length > 0);
    const kinds = Map.groupBy(chosen, (box) => box.closest("[data-kind]").dataset.kind);
    const words = document.getElementById("bulk-words");
    words.textContent = `${chosen.length} selected${kinds.size > 1 ? ", of different kinds. Review each kind:" : ""}`;
    document.getElementById("bulk-go").hidden = kinds.size !== 1;
    for (const link of bar.querySelectorAll("a")) link.remove();
    if (kinds.size < 2) return;
    for (const [kind, boxes] of kinds) {
      const link = document.createElement("a");
      link.href = `/selection?${new URLSearchParams(boxes.map((box) => ["id", box.value]))}`;
      link.textContent = `${kind.split(" · ")[0]} (${boxes.length})`;
      words.after(link);
    }
  };
  document.addEventListener("change", (event) => {
    if (!event.target.closest("#queue")) return;
    keep();
    selection();
  });

  // The number that waits: in the tab's icon, and as a notification where a person asked for it.
  let before = null;
  const count = () => {
    const live = document.getElementById("list");
    if (live?.dataset.pending === undefined) return;
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
      approvals.refresh();
    }
    if (event.target.id === "hide-steps") {
      localStorage.setItem("steps", "hidden");
      label();
      document.querySelector(".list .rows")?.focus();
    }
    if (event.target.id === "bulk-clear") {
      sessionStorage.removeItem(SELECTED);
      selection();
    }
    if (event.target.id === "notify") {
      const on = localStorage.getItem("notify") === "on";
      if (!on && (await Notification.requestPermission()) !== "granted") return;
      localStorage.setItem("notify", on ? "off" : "on");
      label();
    }
  });
  const label = () => {
    const steps = document.getElementById("hide-steps");
    if (steps) {
      steps.hidden = false;
      steps.closest("section").hidden = localStorage.getItem("steps") === "hidden";
    }
    const button = document.getElementById("notify");
    if (!button || !("Notification" in window)) return;
    button.hidden = false;
    button.textContent = localStorage.getItem("notify") === "on" ? "Notifications on" : "Notify me";
  };
  count();
  label();
  selection();
})();
