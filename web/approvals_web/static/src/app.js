// How long the card was looked at goes into the decision's evidence.
(() => {
  const opened = performance.now();
  document.addEventListener("submit", (event) => {
    const field = event.target.querySelector("[name=looked_ms]");
    if (field) field.value = Math.round(performance.now() - opened);
  });
})();
