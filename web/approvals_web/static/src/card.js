// The card: drafts that outlive a lost session, what is critical arms late, the countdown, and copying. All of it helps;
// the server checks by itself.
(() => {
  // What a person typed stays in this tab until the card has no such form any more: then it was sent, or is of no use.
  const key = (field) => `draft ${field.dataset.draft} ${field.id}`;
  const drafts = () => {
    const card = location.pathname.match(/^\/requests\/([\w-]+)(?:\/(?:decisions|revocation|settlement))?$/);
    if (!card || !document.getElementById("timeline")) return; // an error page has no forms, and says nothing of them
    for (const field of document.querySelectorAll("textarea[data-draft]"))
      if (field.value) sessionStorage.setItem(key(field), field.value); // the server gave it back with an error
      else field.value = sessionStorage.getItem(key(field)) ?? "";
    for (const name of Object.keys(sessionStorage))
      if (name.startsWith(`draft ${card[1]} `) && !document.getElementById(name.split(" ")[2])) sessionStorage.removeItem(name);
  };
  document.addEventListener("input", (event) => {
    if (event.target.dataset?.draft) sessionStorage.setItem(key(event.target), event.target.value);
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
  const show = () => {
    const form = document.querySelector("form[data-arm]");
    if (!form) return;
    form.querySelector("button").setAttribute("aria-disabled", String(!armed));
    const note = document.getElementById("arming");
    const words = armed ? "" : "Look at all that will run first: the button works once you have seen the end of it.";
    if (note && note.textContent !== words) note.textContent = words;
  };
  document.addEventListener("submit", (event) => {
    if (event.target.action.endsWith("/logout")) sessionStorage.clear();
    if (event.target.dataset.arm && !armed) {
      event.preventDefault();
      document.getElementById("content-end").scrollIntoView({ block: "center" });
      say("Look at all that will run first.");
    }
  });

  // The time left: shown as it runs, said at these seconds only.
  const SAID_AT = [300, 60, 15];
  const say = (words) => {
    document.getElementById("said").textContent = words;
  };
  const span = (left) => (left >= 120 ? `${Math.floor(left / 60)} min` : `${left} s`);
  let shown = null;
  let until = 0;
  let before = Infinity;
  const count = () => {
    const place = document.querySelector("[data-left]");
    if (!place) return;
    if (place !== shown || place.dataset.left !== place.counted) {
      shown = place;
      place.counted = place.dataset.left;
      until = performance.now() + 1000 * Number(place.dataset.left);
    }
    const left = Math.max(0, Math.round((until - performance.now()) / 1000));
    if (left < 7200) {
      const words = `${place.dataset.verb} in ${span(left)}`;
      if (place.textContent !== words) place.textContent = words;
      if (SAID_AT.some((at) => before > at && left <= at && before !== Infinity)) say(`This ${words}.`);
    }
    before = left;
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
  setInterval(count, 1000);
  look();
})();
