// Moments in the reader's own time: "9 min ago", kept true while the page is open, the exact moment on hover.
const approvals = {}; // what the parts of this bundle share
(() => {
  const shift = Number(document.documentElement.dataset.now ?? 0) / 1000 - Date.now() || 0; // the server's clock counts
  approvals.now = () => Date.now() + shift;
  const DAY = 86400;
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
  const rough = (seconds) => {
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < DAY) return `${Math.floor(seconds / 3600)} h`;
    const days = Math.floor(seconds / DAY);
    return `${days} ${days === 1 ? "day" : "days"}`;
  };
  const words = (at) => {
    const seconds = Math.round((approvals.now() - at) / 1000);
    if (Math.abs(seconds) >= 7 * DAY) return date.format(at);
    if (Math.abs(seconds) < 60) return seconds >= 0 ? "just now" : "in a moment";
    return seconds > 0 ? `${rough(seconds)} ago` : `in ${rough(-seconds)}`;
  };
  approvals.span = (left) => {
    if (left < 120) return `${left} s`;
    if (left < 3600) return `${Math.floor(left / 60)} min`;
    const [big, unit, small, rest] = left >= DAY ? [DAY, "d", 3600, "h"] : [3600, "h", 60, "min"];
    const part = Math.floor((left % big) / small);
    return `${Math.floor(left / big)} ${unit}${part ? ` ${part} ${rest}` : ""}`;
  };
  const show = () => {
    for (const one of document.querySelectorAll("time[datetime]")) {
      const at = new Date(one.dateTime);
      one.dataset.utc ??= one.title;
      const title = `${exact.format(at)} (your time) · ${one.dataset.utc}`;
      if (one.title !== title) one.title = title;
      const said = words(at);
      if (one.textContent !== said) one.textContent = said;
    }
  };
  document.addEventListener("htmx:after:swap", show);
  setInterval(show, 20000);
  show();
})();
approvals.say = (words) => {
  document.getElementById("said").textContent = words;
};
