// The card: drafts that outlive a lost session, what is critical arms late, the countdown, and copying. All of it helps;
// the server checks by itself.
(() => {
  // What a person typed stays in this tab until the card has no such form any more: then it was sent, or is of no use.
  const key = (field) => `draft ${field.dataset.draft} ${field.id}`;
  const drafts = () => {
    const card = document.getElementById("card")?.dataset.request;
    if (!card) return; // an error page has no forms, and says nothing of them
    for (const field of document.querySelectorAll("#card [data-draft]"))
      if (field.value) sessionStorage.setItem(key(field), field.value); // the server gave it back with an error
      else field.value = sessionStorage.getItem(key(field)) ?? "";
    const note = document.getElementById("with-note");
    if (note) note.hidden = false;
    if (note && document.getElementById("note").value) note.setAttribute("aria-expanded", "true");
    const deny = document.getElementById("deny-open");
    if (deny && document.getElementById("reason").value && document.querySelector("#card [role=alert]:not([hidden])")) deny.open = true;
    for (const name of Object.keys(sessionStorage))
      if (name.startsWith(`draft ${card} `) && !document.getElementById(name.split(" ")[2])) sessionStorage.removeItem(name);
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("#with-note");
    if (!button) return;
    const open = button.getAttribute("aria-expanded") === "false";
    button.setAttribute("aria-expanded", String(open));
    button.toggleAttribute("hx-morph-skip", open); // a refresh of the card must not close it again
    if (open) document.getElementById("note").focus({ preventScroll: true });
  });
  document.addEventListener("input", (event) => {
    if (event.target.dataset?.draft) sessionStorage.setItem(key(event.target), event.target.value);
    if (event.target.id === "typed") event.target.removeAttribute("aria-invalid");
  });

  // Critical: the button works a moment after the end of what will run was on the screen, for this very content.
  const ARM_MS = 1500;
  let content = null;
  let armed = false;
  let watching = null;
  const arm = () => {
    const form = document.querySelector("form[data-arm]");
    if (!form) return;
    if (form.dataset.arm !== content) {
      content = form.dataset.arm;
      armed = false;
      watching?.disconnect();
      watching = new IntersectionObserver((seen) => {
        if (!seen.some((one) => one.isIntersecting)) return;
        watching.disconnect();
        const of = content;
        setTimeout(() => {
          if (of !== content) return;
          armed = true;
          show();
        }, ARM_MS);
      });
      watching.observe(document.getElementById("content-end"));
    }
    show();
  };
  const note = (words) => {
    const place = document.getElementById("arming");
    if (place && place.textContent !== words) place.textContent = words;
  };
  const show = () => {
    const form = document.querySelector("form[data-arm]");
    if (!form) return;
    form.querySelector("button").setAttribute("aria-disabled", String(!armed));
    const seen = document.getElementById("content-end").getBoundingClientRect().top < innerHeight;
    note(armed || seen ? "" : "Scroll to the end of the request to enable Approve.");
  };
  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (form.action.endsWith("/logout")) sessionStorage.clear();
      if (!form.dataset.arm) return;
      if (!armed) {
        event.preventDefault();
        document.getElementById("content-end").scrollIntoView({ block: "center" });
        approvals.say("Look at all that will run first.");
        return;
      }
      const typed = form.querySelector("#typed");
      if (!typed || typed.value.trim() === typed.dataset.expected) return;
      event.preventDefault();
      typed.setAttribute("aria-invalid", "true");
      note(`That doesn't match. Type ${typed.dataset.expected} to approve.`);
      typed.focus();
    },
    true,
  );

  // The time left: shown as it runs, said at these seconds only, and of the open request alone.
  const SAID_AT = [300, 60, 15];
  const clocks = new WeakMap();
  let before = Infinity;
  const count = () => {
    for (const place of document.querySelectorAll("[data-left]")) {
      const known = clocks.get(place);
      if (known?.given !== place.dataset.left) clocks.set(place, { given: place.dataset.left, until: performance.now() + 1000 * Number(place.dataset.left) });
      const left = Math.max(0, Math.round((clocks.get(place).until - performance.now()) / 1000));
      const words = approvals.span(left);
      const text = place.lastElementChild ?? place;
      if (text.textContent !== words) text.textContent = words;
      if (place.classList.contains("left")) place.classList.toggle("soon", left < 1800);
      if (!place.dataset.says) continue;
      if (before !== Infinity && SAID_AT.some((at) => before > at && left <= at)) approvals.say(`${place.dataset.says} in ${words}.`);
      before = left;
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const said = button.nextElementSibling;
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      said.textContent = "Copied.";
    } catch {
      said.textContent = "The browser does not let this page copy.";
    }
  });

  const look = () => {
    drafts();
    arm();
    count();
    for (const one of document.querySelectorAll(".copying")) one.hidden = false;
  };
  document.addEventListener("htmx:after:swap", look);
  document.addEventListener("scroll", show, { capture: true, passive: true });
  setInterval(count, 1000);
  look();
})();
