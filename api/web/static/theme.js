// Applies the reader's colours and text size before the page is drawn; look.js changes and remembers them.
(function () {
  const root = document.documentElement;
  try {
    const chosen = JSON.parse(localStorage.getItem("greffier.look") || "{}");
    if (chosen.colours && chosen.colours !== "auto") root.dataset.colours = chosen.colours;
    if (chosen.size) root.dataset.size = chosen.size;
    if (chosen.lines) root.dataset.lines = chosen.lines;
  } catch {
    // Storage that is closed or spoilt leaves the defaults.
  }
})();
