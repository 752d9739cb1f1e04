// What another microphone heard better, on the transcript page: shown in its places, and brought back.

import { recall, remember, TAB } from "./memory.js";
import { ask, showRefusal } from "./server.js";
import { say } from "./words.js";

const KEY = "greffier.kept";
const at = (id) => document.getElementById(id);
const base = `/api/v1/meetings/${at("meeting").dataset.meeting}`;
const toggle = at("left-out");

function show(shown) {
  toggle?.setAttribute("aria-pressed", String(shown));
  for (const each of document.querySelectorAll(".left-out")) each.hidden = !shown;
}

toggle?.addEventListener("click", () => show(toggle.getAttribute("aria-pressed") === "false"));
for (const button of document.querySelectorAll(".left-out button")) {
  button.addEventListener("click", () => keep(button.parentElement));
}

/** Corrects the segment to all that it says, which brings back what was left out, and reads the page anew. */
async function keep(leftOut) {
  if (document.querySelector(".segment-form")) {
    errorIn(leftOut).textContent = say("script.left_out.first"); // what is typed there would be lost
    return;
  }
  const { segment, whole, count } = leftOut.dataset;
  const correction = { text: whole, count: count === undefined ? null : Number(count) };
  try {
    await ask("PATCH", `${base}/segments/${encodeURIComponent(segment)}`, correction);
    showAnew({ segment, kept: true });
  } catch (refused) {
    const error = errorIn(leftOut);
    if (refused.status === 409) offerAnew(error, segment);
    else showRefusal(error, refused);
  }
}

/** An empty one, in place of what there was. */
function errorIn(leftOut) {
  const error = document.createElement("span");
  error.className = "error";
  error.setAttribute("role", "alert");
  leftOut.querySelector(".error")?.remove();
  leftOut.append(error);
  return error;
}

function offerAnew(error, segment) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = say("script.correct.reload");
  button.addEventListener("click", () => showAnew({ segment }));
  error.replaceChildren(say("script.left_out.changed"), " ", button);
}

/** What is left is shown then, and the focus goes to `segment`. */
function showAnew(read) {
  remember(KEY, read, TAB);
  location.reload();
}

const { segment, kept } = recall(KEY, TAB);
if (segment) {
  remember(KEY, {}, TAB);
  show(true);
  const named = `[data-segment="${CSS.escape(segment)}"]`;
  const piece = document.querySelector(`.piece${named}`) ?? document.querySelector(named) ?? at("main");
  piece.tabIndex = -1;
  piece.focus();
  if (kept) at("said").textContent = say("script.corrected");
}
