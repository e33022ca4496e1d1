// Follows what happens: fetches the page anew after each change, and leaves what somebody is writing alone.
const busy = () =>
  [...document.querySelectorAll("main :is(input, textarea)")].some(
    (field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked,
  );

const follow = async () => {
  const main = document.querySelector("main");
  const answer = await fetch(`/changed?since=${main.dataset.version}`);
  if (!answer.ok) return;
  if ((await answer.text()) !== main.dataset.version && !busy()) {
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    if (!busy()) main.replaceWith(page.querySelector("main"));
  }
  setTimeout(follow, 300);
};

follow();
