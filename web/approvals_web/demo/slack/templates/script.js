// Follows what happens: fetches the page anew after each change, and leaves what somebody is writing alone.
const busy = () =>
  [...document.querySelectorAll("main :is(input, textarea)")].some(
    (field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked,
  );

// Times as Slack writes them: in the reader's own zone, and days that are near by their names.
const localize = () => {
  const day = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());
  for (const time of document.querySelectorAll("time:not([title])")) {
    const at = new Date(time.dateTime);
    const apart = Math.round((day(at) - day(new Date())) / 86_400_000);
    const near = { "-1": "yesterday at ", 0: "today at ", 1: "tomorrow at " }[apart];
    time.title = time.textContent;
    const date = near ?? `${at.toLocaleDateString("en", { month: "short", day: "numeric", year: "numeric" })} `;
    time.textContent = date + at.toLocaleTimeString("en", { hour: "numeric", minute: "2-digit" });
  }
};

const follow = async () => {
  const main = document.querySelector("main");
  const answer = await fetch(`/changed?since=${main.dataset.version}`);
  if (!answer.ok) return;
  if ((await answer.text()) !== main.dataset.version && !busy()) {
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    if (!busy()) main.replaceWith(page.querySelector("main"));
    localize();
  }
  setTimeout(follow, 300);
};

localize();
follow();
