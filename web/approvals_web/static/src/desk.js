// The desk: a row opens its card beside the list, a decision is sent without leaving the page, and the next one opens.
(() => {
  if (!document.body.classList.contains("desk")) return;
  const wide = matchMedia("(min-width: 1024px)");
  const card = () => document.getElementById("card");
  const rows = () => [...document.querySelectorAll("#queue li.row > a")];
  const current = () => card()?.dataset.request && `/requests/${card().dataset.request}`;
  const stay = () => localStorage.getItem("stay") === "on";

  // Which row stands open, where it is among all, and what is before and after it.
  const mark = () => {
    const all = rows();
    const at = all.findIndex((row) => row.getAttribute("href") === current());
    all.forEach((row, i) => (i === at ? row.setAttribute("aria-current", "true") : row.removeAttribute("aria-current")));
    const place = document.getElementById("position");
    if (place) place.textContent = at < 0 ? "" : `${at + 1} of ${all.length}`;
    for (const [id, row] of [["previous", all[at - 1]], ["next", at < 0 ? all[0] : all[at + 1]]]) {
      const link = document.getElementById(id);
      if (!link) continue;
      link.hidden = !row;
      if (row) link.href = row.href;
    }
    const copy = document.getElementById("copy-link");
    if (copy) copy.hidden = false;
  };

  const opened = (focus) => {
    document.body.classList.replace("at-list", "at-card");
    document.querySelector("#card .body")?.scrollTo(0, 0);
    if (!wide.matches) scrollTo(0, 0);
    if (focus) document.querySelector("#card h1")?.focus({ preventScroll: true });
    approvals.look();
  };
  const load = async (address, { focus = true, push = true } = {}) => {
    approvals.moved = true;
    await htmx.ajax("GET", address, { target: "#card", swap: "outerHTML", push: push ? "true" : "false" });
    if (push) opened(focus);
    mark();
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#list li.row > a, #previous, #next");
    if (!link || !wide.matches || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    load(link.getAttribute("href"), { focus: !link.closest("#list") });
  });

  // A decision: what went wrong is said beside the button, and nothing that was typed is lost.
  const tell = (form, words) => {
    const place = document.querySelector("#decide .trouble");
    if (!place) return approvals.say(words);
    place.hidden = false;
    place.setAttribute("hx-morph-skip", ""); // a refresh of the card must not take it away before it was read
    place.textContent = words;
    if (form.closest("details")) place.scrollIntoView({ block: "nearest" });
  };
  const WORDS = {
    401: "You are signed out. Sign in again in another tab, then come back: what you typed stays here.",
    403: "You are not allowed to decide this any more. Reload the page.",
    429: "Too many requests. Wait a moment, then try again.",
  };
  const SILENT = "The service did not answer. As far as we know, nothing was decided. Try again: it counts once.";
  const send = async (form) => {
    const button = form.querySelector("button:not([type=button])");
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    let trouble = "";
    const failed = (event) => {
      const ctx = event.detail.ctx;
      if (ctx && !ctx.request?.action?.endsWith(form.getAttribute("action"))) return;
      const status = event.type === "htmx:error" ? 0 : ctx.response.status;
      if (status !== 409 && status !== 422) trouble = WORDS[status] ?? SILENT;
    };
    const events = ["htmx:error", "htmx:response:error"];
    for (const name of events) document.addEventListener(name, failed);
    approvals.moved = true;
    await htmx.ajax("POST", form.getAttribute("action"), { source: form, target: "#card", swap: "outerHTML", push: "true", values: stay() ? { stay: "yes" } : {} });
    for (const name of events) document.removeEventListener(name, failed);
    button.removeAttribute("aria-busy");
    if (trouble) return tell(form, trouble);
    opened(true);
    mark();
    toast();
    approvals.refresh?.();
  };
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches("form[data-decide]")) return;
    event.preventDefault();
    send(form);
  });

  // What was just decided, for ten seconds; longer while a hand or the focus is on it.
  const STAYS_MS = 10000;
  const toast = () => {
    const told = document.querySelector("#card #toast");
    if (!told) return;
    document.getElementById("toasts")?.remove();
    const place = document.createElement("div");
    place.id = "toasts";
    place.append(told);
    document.body.append(place);
    approvals.say(told.querySelector("span").textContent);
    const leave = () => {
      if (place.matches(":hover, :focus-within")) setTimeout(leave, 1000);
      else place.remove();
    };
    setTimeout(leave, STAYS_MS);
  };

  document.addEventListener("click", async (event) => {
    const snippet = event.target.closest(".snippet");
    if (snippet) {
      const reason = document.getElementById("reason");
      reason.value = snippet.textContent;
      reason.dispatchEvent(new Event("input", { bubbles: true }));
      reason.focus();
    }
    const copy = event.target.closest("#copy-link");
    if (copy) {
      await navigator.clipboard.writeText(new URL(current(), location.href).href);
      approvals.say(copy.dataset.copied);
    }
  });
  const ready = () => {
    for (const one of document.querySelectorAll(".snippets")) one.hidden = false;
    mark();
  };
  document.addEventListener("htmx:after:swap", ready);
  document.addEventListener("click", (event) => {
    const panel = event.target.closest("#deny-open > summary")?.parentElement;
    if (panel && !panel.open) setTimeout(() => document.getElementById("reason").focus());
  });

  ready();
  toast();
  // On a wide screen the most urgent stands open at once.
  if (wide.matches && document.body.classList.contains("at-list") && rows().length) load(rows()[0].getAttribute("href"), { push: false, focus: false });
})();
