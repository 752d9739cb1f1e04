// What every page has: the reader's display settings, dialogs, moments in the reader's own clock.

import { recall, remember } from "./memory.js";
import { localiseTimes } from "./words.js";

const KEY = "greffier.look";
const root = document.documentElement;

let chosen = { size: "", colours: "auto", lines: "", announce: true, ...recall(KEY) };

/** Whether screen readers are told each finished caption. */
export function announces() {
  return chosen.announce;
}

function apply() {
  for (const name of ["size", "colours", "lines"]) {
    if (chosen[name] && chosen[name] !== "auto") root.dataset[name] = chosen[name];
    else delete root.dataset[name];
  }
}

function choose() {
  const { size, colours, lines, announce } = form.elements;
  chosen = { size: size.value, colours: colours.value, lines: lines.value, announce: announce.checked };
  apply();
  remember(KEY, chosen);
}

const form = document.querySelector("#look form");
for (const name of ["size", "colours", "lines"]) form.elements[name].value = chosen[name];
form.elements.announce.checked = chosen.announce;
form.addEventListener("change", choose);
apply();

// The browser keeps the focus inside an open dialog and gives it back to the button that opened it.
for (const button of document.querySelectorAll("[data-opens]")) {
  button.setAttribute("aria-haspopup", "dialog");
  button.addEventListener("click", () => {
    if (button.ariaDisabled !== "true") document.getElementById(button.dataset.opens).showModal();
  });
}

localiseTimes(document);

// Forms wait until there is somebody who takes what is typed: nothing clicked is lost, and no key goes astray.
for (const waiting of document.querySelectorAll("[inert]")) waiting.inert = false;
